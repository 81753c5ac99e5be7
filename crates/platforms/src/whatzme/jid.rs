//! Jids: the addresses of this family, and what they say about who is at the other end.

use model::conversation::Identifier;
use serde_json::Value;

/// What sort of address a jid is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// A phone number.
    Person,
    /// A person whose number is hidden.
    Lid,
    /// A group.
    Group,
    /// A newsletter, a status or a broadcast list: nobody to talk with.
    Broadcast,
}

/// One address, without the device a person wrote from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Jid {
    user: String,
    server: String,
}

impl Jid {
    /// Reads `user[:device]@server`; digits alone are a person.
    pub(super) fn read(text: &str) -> Option<Jid> {
        let (user, server) = text.split_once('@').unwrap_or((text, "s.whatsapp.net"));
        let user = user.split(':').next().unwrap_or(user);
        let plausible = !user.is_empty() && (text.contains('@') || user.bytes().all(|b| b.is_ascii_digit()));
        plausible.then(|| Jid { user: user.to_owned(), server: server.to_owned() })
    }

    /// Reads the first of several members that holds an address.
    pub(super) fn first_of(value: &Value, names: &[&str]) -> Option<Jid> {
        names.iter().filter_map(|name| value.get(name)?.as_str()).find_map(Jid::read)
    }

    /// What stands before the `@`: the number of a person.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// What sort of address it is.
    pub(super) fn sort(&self) -> Sort {
        match self.server.as_str() {
            _ if self.user == "status" => Sort::Broadcast,
            "s.whatsapp.net" | "c.us" => Sort::Person,
            "lid" => Sort::Lid,
            "g.us" => Sort::Group,
            _ => Sort::Broadcast,
        }
    }

    /// What the other end is known by.
    pub(super) fn identifiers(&self) -> Vec<Identifier> {
        let whole = self.to_string();
        match self.sort() {
            Sort::Person => {
                let digits = Some(&self.user).filter(|user| user.bytes().all(|b| b.is_ascii_digit()));
                let wa_id = digits.map(|digits| Identifier::new("wa_id", digits));
                std::iter::once(Identifier::new("jid", whole)).chain(wa_id).collect()
            }
            Sort::Lid => vec![Identifier::new("lid", whole)],
            Sort::Group => vec![Identifier::new("group", whole)],
            Sort::Broadcast => Vec::new(),
        }
    }
}

impl std::fmt::Display for Jid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.user, self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_person_is_known_by_jid_and_number_and_the_device_is_left_out() {
        let jid = Jid::read("5215500000001:12@s.whatsapp.net").expect("a jid");
        assert_eq!(
            jid.identifiers(),
            [
                Identifier::new("jid", "5215500000001@s.whatsapp.net"),
                Identifier::new("wa_id", "5215500000001")
            ]
        );
        assert_eq!(Jid::read("5215500000001"), Jid::read("5215500000001@s.whatsapp.net"));
    }

    #[test]
    fn every_server_has_its_sort() {
        let sort = |text| Jid::read(text).map(|jid| jid.sort());
        assert_eq!(sort("1@c.us"), Some(Sort::Person));
        assert_eq!(sort("1@lid"), Some(Sort::Lid));
        assert_eq!(sort("1-2@g.us"), Some(Sort::Group));
        assert_eq!(sort("status@broadcast"), Some(Sort::Broadcast));
        assert_eq!(sort("1@newsletter"), Some(Sort::Broadcast));
        assert_eq!(sort("somebody"), None);
        assert_eq!(sort("@lid"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Jid::read(&text).map(|jid| jid.identifiers());
        }
    }
}
