//! Who does the jobs.

mod creative;
mod research;

pub use creative::create;
pub use research::research;

use crate::client::ProviderError;

/// Why a job came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A provider did not do its part.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The command speaks of an image and has none.
    #[error("the command is about an image, and no image was provided")]
    NoImage,
    /// A provider's answer lacks what was asked for.
    #[error("{0} sent an answer without what was asked for")]
    Incomplete(&'static str),
    /// Somebody called the job off.
    #[error("the job was cancelled")]
    Cancelled,
}
