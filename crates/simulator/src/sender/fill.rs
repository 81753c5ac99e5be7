//! Filling a sample: what is different each time, and what somebody wants otherwise.
//!
//! A sample's file has `headers`, if the platform has any of its own, and `json` or `form`. In its texts `{id}` and `{number}` are
//! new each time, `{seconds}`, `{micros}`, `{millis}` and `{iso}` tell the time, `{account}`, `{contact}`, `{name}` and `{text}` who says
//! what to whom. `{about|…}` is the message that an event is about, or what stands after the line where none is named. A text that begins with `=` becomes a number. Some platforms tell two events apart by nothing but the time: what is smaller
//! than a second of it is made of the serial.

use bytes::Bytes;
use model::time::Timestamp;
use serde_json::{Map, Number, Value};

use super::{Sample, Unfit};

/// The largest number that every reader of JSON reads exactly.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// What goes into the places of a sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filling {
    /// Makes the ids: another one for each new event.
    pub serial: u64,
    /// The present, which is also when it is signed.
    pub now: Timestamp,
    /// Where it happened: a number or an id of the shop's; the sample's own account where none is named.
    pub account: Option<String>,
    /// The message that it is about, where it is about one; another one each time, or any, where none is named.
    pub about: Option<String>,
    /// Who has done it: a number, or an id of the platform's; the sample's own contact where nobody is named.
    pub contact: Option<String>,
    /// The contact's name.
    pub name: String,
    /// What is said, where something is.
    pub text: String,
    /// Places of the body, each as `a.b.0` or `/a/b/0`, and what is put there before it is signed.
    pub set: Vec<(String, String)>,
}

impl Filling {
    /// What Ana says, new with each serial.
    pub fn of(serial: u64, now: Timestamp) -> Filling {
        let (name, text) = ("Ana".to_owned(), "Hola, ¿está abierto?".to_owned());
        Filling { serial, now, account: None, about: None, contact: None, name, text, set: Vec::new() }
    }

    /// The id that is new with each serial.
    pub(super) fn id(&self) -> String {
        format!("{:016x}", self.serial)
    }
}

/// A sample as it is sent, before its proof.
pub(super) struct Written {
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

/// Fills a sample.
pub(super) fn written(sample: &Sample, filling: &Filling) -> Result<Written, Unfit> {
    let places = Places::of(sample, filling);
    let file: Value = serde_json::from_str(sample.file).map_err(|error| Unfit(error.to_string()))?;
    let fill = |part: &str| file.get(part).map(|part| places.fill(part)).transpose();
    let headers = fill("headers")?.unwrap_or_default();
    let headers = headers.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), plain(value)));
    let (form, json) = (fill("form")?, fill("json")?);
    let is_form = form.is_some();
    let mut document = form.or(json).unwrap_or_default();
    for (path, value) in &filling.set {
        set(&mut document, path, value)?;
    }
    let form = document.as_object().filter(|_| is_form);
    Ok(Written {
        headers: headers.collect(),
        content_type: if is_form { "application/x-www-form-urlencoded" } else { "application/json" },
        body: Bytes::from(form.map_or_else(|| document.to_string(), encoded)),
    })
}

/// A form; what is not a text in it is JSON.
fn encoded(fields: &Map<String, Value>) -> String {
    let fields = fields.iter().map(|(name, value)| (name, plain(value)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What goes where.
struct Places {
    about: Option<String>,
    /// The names of places and what goes there. What people say comes last, so that nothing is looked for in it.
    named: [(&'static str, String); 10],
}

impl Places {
    fn of(sample: &Sample, filling: &Filling) -> Places {
        let number = filling.serial & NUMBER_MAX;
        let seconds = filling.now.as_secs();
        let millis = seconds * 1000 + (number % 1000) as i64;
        let named = [
            ("{id}", filling.id()),
            ("{number}", number.to_string()),
            ("{seconds}", seconds.to_string()),
            ("{micros}", format!("{:06}", number % 1_000_000)),
            ("{millis}", millis.to_string()),
            ("{iso}", Timestamp::from_millis(millis).to_string()),
            ("{account}", filling.account.clone().unwrap_or_else(|| sample.account.to_owned())),
            ("{contact}", filling.contact.clone().unwrap_or_else(|| sample.contact.to_owned())),
            ("{name}", filling.name.clone()),
            ("{text}", filling.text.clone()),
        ];
        Places { about: filling.about.clone(), named }
    }

    fn fill(&self, template: &Value) -> Result<Value, Unfit> {
        match template {
            Value::String(text) => match text.strip_prefix('=') {
                Some(number) => self.number(number),
                None => Ok(Value::from(self.text(text))),
            },
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| Ok((name.clone(), self.fill(value)?))).collect()
            }
            other => Ok(other.clone()),
        }
    }

    fn text(&self, template: &str) -> String {
        let (template, about) = match template.strip_prefix("{about|").and_then(|rest| rest.strip_suffix('}'))
        {
            Some(usual) => (usual, self.about.clone()),
            None => (template, None),
        };
        let filled = || {
            self.named.iter().fold(template.to_owned(), |text, (place, filling)| text.replace(place, filling))
        };
        about.unwrap_or_else(filled)
    }

    fn number(&self, template: &str) -> Result<Value, Unfit> {
        let text = self.text(template);
        let number: Result<Number, _> = text.parse();
        number.map(Value::Number).map_err(|_| Unfit(format!("{text:?} must be a number here")))
    }
}

/// Puts a value to a place whose parent is there. It becomes what stands there; JSON where nothing does, or else a text.
fn set(document: &mut Value, path: &str, value: &str) -> Result<(), Unfit> {
    let parts = parts(path);
    let (last, parents) = parts.split_last().ok_or_else(|| Unfit("a path names a member".to_owned()))?;
    let mut at = document;
    for part in parents {
        at = child(at, part).ok_or_else(|| Unfit(format!("there is no {part} of {path} in the sample")))?;
    }
    let nowhere = || Unfit(format!("there is no place for {last} of {path} in the sample"));
    let place = match at {
        Value::Object(members) => members.entry(last.as_str()).or_insert(Value::Null),
        other => child(other, last).ok_or_else(nowhere)?,
    };
    *place = match serde_json::from_str(value) {
        Ok(read) if !place.is_string() => read,
        _ => Value::from(value),
    };
    Ok(())
}

fn parts(path: &str) -> Vec<String> {
    match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect(),
        None => path.split('.').map(str::to_owned).collect(),
    }
}

fn child<'v>(value: &'v mut Value, part: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(members) => members.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(name: &str, filling: &Filling) -> Result<Value, Unfit> {
        let sample = Sample::named(name).expect("a sample");
        let written = written(&sample, filling)?;
        Ok(serde_json::from_slice(&written.body).expect("JSON"))
    }

    fn filling(set: &[(&str, &str)]) -> Filling {
        let set = set.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
        Filling { set, ..Filling::of(7, Timestamp::from_secs(1_700_000_000)) }
    }

    #[test]
    fn places_become_texts_and_numbers_and_what_people_say_is_left_alone() {
        let told = Filling { text: "=1 {id} \"".to_owned(), ..filling(&[]) };
        let body = body("telegram.message", &told).expect("filled");
        assert_eq!(body["update_id"], 7);
        assert_eq!(body["message"]["date"], 1_700_000_000);
        assert_eq!(body["message"]["text"], "=1 {id} \"");
        assert_eq!(body["message"]["from"]["first_name"], "Ana");
    }

    #[test]
    fn an_event_is_about_the_message_that_is_named_or_about_another_each_time() {
        let id = |told: &Filling| {
            let body = body("whatsapp.delivered", told).expect("filled");
            body["entry"][0]["changes"][0]["value"]["statuses"][0]["id"].clone()
        };
        assert_eq!(id(&filling(&[])), "wamid.0000000000000007");
        assert_eq!(id(&Filling { about: Some("wamid.{id}".to_owned()), ..filling(&[]) }), "wamid.{id}");
    }

    #[test]
    fn a_value_that_is_set_becomes_what_stands_there() {
        let paths = [("message.text", "42"), ("/message/chat/id", "43"), ("message.silent", "true")];
        let body = body("telegram.message", &filling(&paths)).expect("set");
        assert_eq!(body["message"]["text"], "42");
        assert_eq!(body["message"]["chat"]["id"], 43);
        assert_eq!(body["message"]["silent"], true);
    }

    #[test]
    fn a_path_that_leads_nowhere_and_a_contact_that_is_no_number_are_named() {
        let refused = body("telegram.message", &filling(&[("massage.text", "x")])).map_err(|unfit| unfit.0);
        assert_eq!(refused, Err("there is no massage of massage.text in the sample".to_owned()));
        let refused = body("whatsapp.message", &filling(&[("entry.5", "x")])).map_err(|unfit| unfit.0);
        assert_eq!(refused, Err("there is no place for 5 of entry.5 in the sample".to_owned()));
        let somebody = Filling { contact: Some("ana".to_owned()), ..filling(&[]) };
        let refused = body("telegram.message", &somebody).map_err(|unfit| unfit.0);
        assert_eq!(refused, Err("\"ana\" must be a number here".to_owned()));
    }
}
