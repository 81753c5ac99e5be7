//! What a sender signs, as a template: literal text and the parts of a request.

/// The bytes that are signed, piece by piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template(Vec<Piece>);

/// A part of a request that can be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// The body, byte for byte.
    Body,
    /// The time, as the sender wrote it.
    Timestamp,
    /// The id, as the sender wrote it.
    Id,
    /// The address the sender was given, with path and query.
    Url,
    /// The method.
    Method,
    /// The path, without the query.
    Path,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Part(Part),
}

/// The parts of one request; what the scheme does not name stays empty.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts<'r> {
    pub(super) body: &'r [u8],
    pub(super) timestamp: &'r str,
    pub(super) id: &'r str,
    pub(super) url: &'r str,
    pub(super) method: &'r str,
    pub(super) path: &'r str,
}

const NAMES: [(&str, Part); 6] = [
    ("body", Part::Body),
    ("timestamp", Part::Timestamp),
    ("id", Part::Id),
    ("url", Part::Url),
    ("method", Part::Method),
    ("path", Part::Path),
];

impl Template {
    /// Reads a template such as `v0:{timestamp}:{body}`; the body must be in it, or the signature would fit any.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, brace) = rest.split_at(at);
            let (name, after) =
                brace.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or_else(unbalanced)?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(literal.to_owned()));
            }
            pieces.push(Piece::Part(part(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let template = Template(pieces);
        match template.has(Part::Body) {
            true => Ok(template),
            false => {
                Err("setting \"signed\" must contain {body}: a signature without it fits any body".to_owned())
            }
        }
    }

    /// Whether a part is signed.
    pub(super) fn has(&self, part: Part) -> bool {
        self.0.contains(&Piece::Part(part))
    }

    /// The bytes that are signed, in pieces.
    pub(super) fn pieces<'t>(&'t self, parts: &Parts<'t>) -> Vec<&'t [u8]> {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Part(Part::Body) => parts.body,
                Piece::Part(Part::Timestamp) => parts.timestamp.as_bytes(),
                Piece::Part(Part::Id) => parts.id.as_bytes(),
                Piece::Part(Part::Url) => parts.url.as_bytes(),
                Piece::Part(Part::Method) => parts.method.as_bytes(),
                Piece::Part(Part::Path) => parts.path.as_bytes(),
            })
            .collect()
    }
}

fn part(name: &str) -> Result<Part, String> {
    let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, part)| *part);
    found.ok_or(format!(
        "setting \"signed\" has {{{name}}}: use {{body}}, {{timestamp}}, {{id}}, {{url}}, {{method}} or {{path}}"
    ))
}

fn unbalanced() -> String {
    "setting \"signed\" has a brace without its partner: write parts as {body}".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_template_is_read_and_filled_in() {
        let template = Template::parse("v0:{timestamp}:{body}!").expect("a template");
        let parts = Parts { body: b"{}", timestamp: "17", ..Parts::default() };
        assert_eq!(template.pieces(&parts).concat(), b"v0:17:{}!");
        assert!(template.has(Part::Timestamp) && !template.has(Part::Id));
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused() {
        for refused in ["", "{timestamp}", "{body", "body}", "{bodi}", "{{body}}", "{body}}"] {
            assert!(Template::parse(refused).is_err(), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = Template::parse(&text);
        }
    }
}
