//! The pages of `docs/sdk`, whose code is tested.

/// Traces.
#[doc = include_str!("../../../docs/sdk/tracing.md")]
pub struct Tracing;

/// Context.
#[doc = include_str!("../../../docs/sdk/context.md")]
pub struct Context;

/// Delivery.
#[doc = include_str!("../../../docs/sdk/delivery.md")]
pub struct Delivery;

/// Tests.
#[doc = include_str!("../../../docs/sdk/testing.md")]
pub struct Testing;
