/// What is wrong with an exposition, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ExpositionError {
    /// The line, from 1; in protobuf the number of the metric family.
    pub line: u64,
    /// The column in characters, from 1; in protobuf the number of the metric in its family, 0 for the family itself.
    pub column: u64,
    /// What is wrong and what would be right.
    pub message: String,
}
