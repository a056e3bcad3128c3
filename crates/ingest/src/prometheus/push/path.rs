use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tripod_model::series::{Labels, LabelsBuilder};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The labels that name a group, from the path behind `/metrics/`: `job/<job>{/<label>/<value>}`, percent-encoded. With
/// `@base64` behind a label's name its value is base64url; a single `=` is then the empty value.
///
/// # Errors
/// What is wrong with the path, in words.
pub(super) fn grouping(path: &str) -> Result<Labels, String> {
    let mut parts = path.split('/');
    let mut labels = LabelsBuilder::default();
    let mut is_first = true;
    while let Some(name) = parts.next() {
        let Some(value) = parts.next() else {
            return Err(format!("the label {name:?} has no value; the path is /metrics/job/<job>{{/<label>/<value>}}"));
        };
        let (name, value) = (decode(name)?, decode(value)?);
        let (name, value) = match name.strip_suffix("@base64") {
            Some(name) => (name.to_owned(), from_base64(&value)?),
            None => (name, value),
        };
        match (is_first, name.as_str()) {
            (true, "job") if value.is_empty() => return Err("job name is required".to_owned()),
            (true, "job") => {}
            (true, _) => return Err("the path must begin with /metrics/job/<job>".to_owned()),
            (false, "") => return Err("a label in the path has no name".to_owned()),
            (false, name) if name.starts_with("__") => return Err(format!("the label {name:?} is reserved")),
            (false, name) if labels.get(name).is_some() => return Err(format!("the label {name:?} is given twice")),
            (false, _) => {}
        }
        labels.set(&name, &value);
        is_first = false;
    }
    Ok(labels.build())
}

fn from_base64(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not base64url of UTF-8");
    let bytes = BASE64.decode(if text == "=" { "" } else { text }).map_err(|_| wrong())?;
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn decode(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else { return Err(wrong()) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_groups() {
        for (path, labels) in [
            ("job/a", r#"{job="a"}"#),
            ("job/a%20b/zone/%C3%A9", r#"{job="a b", zone="é"}"#),
            ("job/titan/path@base64/L3Zhci90bXA", r#"{job="titan", path="/var/tmp"}"#),
            ("job/titan/path@base64/L3Zhci90bXA=", r#"{job="titan", path="/var/tmp"}"#),
            ("job/titan/path@base64/=", r#"{job="titan"}"#),
            ("job@base64/YQ/x/", r#"{job="a"}"#),
        ] {
            assert_eq!(grouping(path).map(|labels| labels.to_string()).as_deref(), Ok(labels), "{path}");
        }
        for (path, message) in [
            ("job/", "job name is required"),
            ("job@base64/=", "job name is required"),
            ("zone/a", "must begin"),
            ("job/a/zone", "has no value"),
            ("job/a/zone/b/zone/c", "twice"),
            ("job/a/__name__/b", "reserved"),
            ("job/%zz", "percent-encoded"),
            ("job@base64/!", "base64url"),
            ("job@base64/_w", "base64url"),
        ] {
            assert!(grouping(path).unwrap_err().contains(message), "{path}");
        }
    }
}
