//! The methods that are told apart in names and labels.

use http::Method;

/// What methods that nobody knows are counted as: a client may send any word.
pub(super) const OTHER: &str = "_OTHER";

/// The method's name, when it is one that the specifications know.
pub(super) fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        "QUERY" => "QUERY",
        _ => OTHER,
    }
}
