//! Reads Rust as tokens with their lines: names, literals, signs. Comments are gone, documentation is told apart.

use std::ops::RangeInclusive;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A name or a keyword.
    Name,
    /// Text, a number, a character.
    Literal,
    /// A bracket or another sign.
    Sign,
}

/// One token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// As it is written; a raw name without its `r#`.
    pub text: String,
    /// Where it begins, counted from 1.
    pub line: usize,
}

/// A `mod` line or block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub line: usize,
    /// The file that `#[path]` names for it.
    pub path: Option<String>,
    /// Whether it stands in a file of its own.
    pub is_file: bool,
}

/// The tokens of one file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    tokens: Vec<Token>,
}

impl Source {
    /// Reads a file; what is not Rust reads as nothing, since the compiler says it better.
    pub fn read(text: &str) -> Source {
        let mut tokens = Vec::new();
        if let Ok(stream) = TokenStream::from_str(text) {
            flatten(stream, &mut tokens);
        }
        Source { tokens }
    }

    /// Names and keywords.
    pub fn names(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().filter(|token| token.kind == Kind::Name)
    }

    /// Literals that are part of the program; documentation is not.
    pub fn literals(&self) -> impl Iterator<Item = &Token> {
        let is_doc =
            |at: usize| at >= 2 && self.tokens[at - 1].text == "=" && self.tokens[at - 2].text == "doc";
        let literals = self.tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Literal);
        literals.filter(move |(at, _)| !is_doc(*at)).map(|(_, token)| token)
    }

    /// Literals that stand right after these tokens.
    pub fn literals_after<'s>(&'s self, before: &'s [&str]) -> impl Iterator<Item = &'s Token> {
        let next = self.places_of(before).filter_map(|at| self.tokens.get(at + before.len()));
        next.filter(|token| token.kind == Kind::Literal)
    }

    /// The lines at which these tokens follow one another.
    pub fn lines_of<'s>(&'s self, wanted: &'s [&str]) -> impl Iterator<Item = usize> {
        self.places_of(wanted).map(|at| self.tokens[at].line)
    }

    /// The modules that this file declares, outermost or within others.
    pub fn modules(&self) -> Vec<Module> {
        self.places_of(&["mod"]).filter_map(|at| self.module(at)).collect()
    }

    /// The lines of test modules that stand inside this file, attribute and closing bracket included.
    pub fn test_lines(&self) -> Vec<RangeInclusive<usize>> {
        let begins = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
        let blocks = self.places_of(&begins).filter_map(|at| {
            let open = at + begins.len() + 1;
            (self.tokens.get(open)?.text == "{")
                .then(|| self.tokens[at].line..=self.tokens[self.close(open)].line)
        });
        blocks.collect()
    }

    fn places_of<'s>(&'s self, wanted: &'s [&str]) -> impl Iterator<Item = usize> {
        let windows = self.tokens.windows(wanted.len()).enumerate();
        windows
            .filter(|(_, window)| window.iter().map(|token| token.text.as_str()).eq(wanted.iter().copied()))
            .map(|(at, _)| at)
    }

    fn module(&self, at: usize) -> Option<Module> {
        let (name, sign) = (self.tokens.get(at + 1)?, self.tokens.get(at + 2)?);
        if name.kind != Kind::Name || !["{", ";"].contains(&sign.text.as_str()) {
            return None;
        }
        Some(Module {
            name: name.text.clone(),
            line: name.line,
            path: self.path_before(at),
            is_file: sign.text == ";",
        })
    }

    /// The value of a `#[path = "…"]` among the tokens since the last item.
    fn path_before(&self, at: usize) -> Option<String> {
        let before =
            self.tokens[..at].iter().rev().take_while(|token| ![";", "}"].contains(&token.text.as_str()));
        let before: Vec<&Token> = before.collect();
        let named = before.windows(3).find(|window| window[2].text == "path" && window[1].text == "=")?;
        Some(named[0].text.trim_matches('"').to_owned())
    }

    fn close(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => return at,
                "}" => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len() - 1
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |kind, text: String, line| tokens.push(Token { kind, text, line });
        match tree {
            TokenTree::Ident(name) => {
                push(Kind::Name, name.to_string().trim_start_matches("r#").to_owned(), line);
            }
            TokenTree::Literal(literal) => push(Kind::Literal, literal.to_string(), line),
            TokenTree::Punct(sign) => push(Kind::Sign, sign.as_char().to_string(), line),
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                push(Kind::Sign, open.to_owned(), line);
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { kind: Kind::Sign, text: close.to_owned(), line });
            }
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r##"//! About the word util.
mod one;
#[path = "elsewhere.rs"]
mod two;
// A comment about helper.
/// SELECT this FROM nowhere.
fn work() -> &'static str { r#"SELECT 1 FROM events"# }
#[cfg(test)]
mod tests {
    fn inner() { let _ = "}"; }
}
"##;

    #[test]
    fn comments_and_documentation_are_no_part_of_the_program() {
        let source = Source::read(EXAMPLE);
        assert!(source.names().all(|name| name.text != "util" && name.text != "helper"));
        let literals: Vec<usize> = source.literals().map(|literal| literal.line).collect();
        assert_eq!(literals, [3, 7, 10]);
    }

    #[test]
    fn modules_and_the_lines_of_tests_are_found() {
        let source = Source::read(EXAMPLE);
        let files: Vec<(String, Option<String>, bool)> =
            source.modules().into_iter().map(|module| (module.name, module.path, module.is_file)).collect();
        assert_eq!(
            files,
            [
                ("one".to_owned(), None, true),
                ("two".to_owned(), Some("elsewhere.rs".to_owned()), true),
                ("tests".to_owned(), None, false),
            ]
        );
        assert_eq!(source.test_lines(), [8..=11]);
    }
}
