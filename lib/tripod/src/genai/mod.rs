//! Spans and metrics of generative AI calls.
