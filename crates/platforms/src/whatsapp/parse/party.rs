//! Who is at the other end: the people a value tells of, matched to its items.

use std::borrow::Cow;
use std::collections::HashMap;

use model::conversation::{Identifier, Party, Touch};
use serde_json::value::RawValue;

use crate::json::Object;

/// The sorts of names a person has, strongest first.
pub(super) const KINDS: [&str; 5] = ["bsuid", "wa_id", "phone", "username", "parent_bsuid"];

/// How an item names a person; any of it may be absent since people can have usernames (platforms.md 1.13).
#[derive(Default)]
pub(super) struct Person<'j> {
    /// The phone number, in digits.
    pub(super) number: Option<Cow<'j, str>>,
    /// The business-scoped user id.
    pub(super) user_id: Option<Cow<'j, str>>,
    /// The user id within the parent of the business.
    pub(super) parent_id: Option<Cow<'j, str>>,
}

impl<'j> Person<'j> {
    /// Reads the members of these names.
    pub(super) fn of(item: &Object<'j>, number: &str, user_id: &str, parent_id: &str) -> Person<'j> {
        Person { number: item.text(number), user_id: item.text(user_id), parent_id: item.text(parent_id) }
    }

    /// The name to show for the person.
    pub(super) fn address(&self) -> Option<&str> {
        self.number.as_deref().or(self.user_id.as_deref())
    }
}

/// One of the people a value tells of.
pub(super) struct Contact<'j> {
    /// The contact as it came.
    pub(super) raw: &'j RawValue,
    /// Whether it tells more than who the person is: an identity key, a member Meta has added since.
    pub(super) has_more: bool,
    person: Person<'j>,
    username: Option<Cow<'j, str>>,
    name: Option<Cow<'j, str>>,
}

impl<'j> Contact<'j> {
    fn of(raw: &'j RawValue) -> Option<Contact<'j>> {
        let contact = Object::of(raw)?;
        let profile = contact.object("profile");
        let tells_more = |object: &Object<'_>, told: &[&str]| {
            object.members().any(|(name, value)| !told.contains(&name) && value.get() != "null")
        };
        let shown = |name| profile.as_ref().and_then(|profile| profile.text(name));
        Some(Contact {
            raw,
            has_more: tells_more(&contact, &["wa_id", "user_id", "parent_user_id", "profile"])
                || profile.as_ref().is_some_and(|profile| tells_more(profile, &["name", "username"])),
            person: Person::of(&contact, "wa_id", "user_id", "parent_user_id"),
            username: shown("username"),
            name: shown("name"),
        })
    }
}

/// The people a value tells of, findable by user id and by number.
pub(super) struct Contacts<'j> {
    all: Vec<Contact<'j>>,
    places: HashMap<Cow<'j, str>, usize>,
    /// Whether the value holds one contact and one item, which then belong together.
    is_pair: bool,
}

impl<'j> Contacts<'j> {
    /// Reads the contacts of a value that holds so many items; a contact that cannot be read tells nothing.
    pub(super) fn of(value: &Object<'j>, items: usize) -> Contacts<'j> {
        let raws = value.items("contacts").unwrap_or_default();
        let all: Vec<Contact<'j>> = raws.into_iter().filter_map(Contact::of).collect();
        let mut places = HashMap::with_capacity(all.len() * 2);
        for (place, contact) in all.iter().enumerate() {
            let names = [&contact.person.user_id, &contact.person.number];
            for name in names.into_iter().flatten() {
                places.entry(name.clone()).or_insert(place);
            }
        }
        let is_pair = all.len() == 1 && items == 1;
        Contacts { all, places, is_pair }
    }

    /// The contact an item means.
    pub(super) fn find(&self, person: &Person<'_>) -> Option<&Contact<'j>> {
        let by =
            |name: &Option<Cow<'_, str>>| name.as_ref().and_then(|name| self.places.get(&**name)).copied();
        match by(&person.user_id).or_else(|| by(&person.number)) {
            Some(place) => self.all.get(place),
            // A number may be spelled in two ways; two different user ids are two people.
            None => self
                .all
                .first()
                .filter(|only| self.is_pair && (person.user_id.is_none() || only.person.user_id.is_none())),
        }
    }

    /// Everything the person is known by, strongest first; `None` when it is nothing.
    pub(super) fn party(&self, person: &Person<'_>, touch: Touch) -> Option<Party> {
        let contact = self.find(person);
        let shown = contact.map(|contact| &contact.person);
        let wa_id = shown.and_then(|shown| shown.number.as_deref()).or(person.number.as_deref());
        let user_id = person.user_id.as_deref().or(shown.and_then(|shown| shown.user_id.as_deref()));
        let parent_id = person.parent_id.as_deref().or(shown.and_then(|shown| shown.parent_id.as_deref()));
        let phone = person.number.as_deref().filter(|number| Some(*number) != wa_id);
        let username = contact.and_then(|contact| contact.username.as_deref());
        let names = KINDS.into_iter().zip([user_id, wa_id, phone, username, parent_id]);
        let identifiers: Vec<Identifier> =
            names.filter_map(|(kind, value)| Some(Identifier::new(kind, value?))).collect();
        let name = contact.and_then(|contact| contact.name.as_deref()).map(str::to_owned);
        (!identifiers.is_empty()).then_some(Party { identifiers, name, touch })
    }
}

/// The party of a group: the conversation is the group's, whoever speaks in it.
pub(super) fn group(id: &str, touch: Touch) -> Party {
    Party { identifiers: vec![Identifier::new("group", id)], name: None, touch }
}
