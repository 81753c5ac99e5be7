//! Every setting there is, as one table: its name, its meaning, its default, and how it is read.
//!
//! Help, `config print`, the example file and the reference page come from this table.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use model::retry::parse_wait;
use model::secret::Secret;

/// Everything that can be configured, read.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the API is.
    pub api_listen: Door,
    /// Where health and metrics are.
    pub operations_listen: Door,
    /// Where platforms reach us: scheme and host, and a port where it is not the usual one.
    pub public_url: Option<String>,
    /// Networks of one's own proxies.
    pub trusted_proxies: Vec<IpNet>,
    /// Which store: `sqlite:<folder>` or `postgres://…`; the text may hold a password.
    pub store: Secret,
    /// Where the bytes of files are: a folder or a bucket; empty for beside the store.
    pub files: String,
    /// Where the bucket is, when that is not AWS.
    pub files_s3_endpoint: Option<String>,
    /// Its region.
    pub files_s3_region: String,
    /// The id of the key to it.
    pub files_s3_key_id: String,
    /// The key to it.
    pub files_s3_secret: Secret,
    /// The largest file that is kept, in bytes.
    pub file_bytes_max: u64,
    /// This node's number among those on the same database.
    pub node: u16,
    /// The first admin token.
    pub admin_token: Option<Secret>,
    /// Networks that deliveries and sends may reach although they are not public.
    pub egress_allow: Vec<IpNet>,
    /// Whether platforms may be called over plain http.
    pub egress_http: bool,
    /// The largest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// How many bytes of webhooks may be in hand at once.
    pub in_hand_bytes_max: usize,
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// How many of them may come from one address.
    pub connections_per_address_max: usize,
    /// How many deliveries may be under way at once.
    pub deliveries_in_flight: usize,
    /// How long bodies and contents are kept.
    pub keep_bodies: Duration,
    /// How long everything else is kept.
    pub keep_metadata: Duration,
    /// How long shutdown waits for what is under way.
    pub drain: Duration,
    /// Whether logs are JSON.
    pub log_json: bool,
    /// What is logged.
    pub log: String,
}

/// Where something listens that is not for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// With the webhooks as long as these are for this machine only, else at this port of this machine.
    AtHome(u16),
    /// With the webhooks.
    Shared,
    /// At a port of its own.
    At(SocketAddr),
}

impl Door {
    /// The port of its own that it has where webhooks come in at `listen`.
    pub fn beside(self, listen: SocketAddr) -> Option<SocketAddr> {
        match self {
            Door::AtHome(port) if !listen.ip().is_loopback() => Some(at_home(port)),
            Door::AtHome(_) | Door::Shared => None,
            Door::At(address) => Some(address),
        }
    }

    /// A port alone is one of this machine.
    fn set(&mut self, text: &str, port_default: u16) -> Result<(), String> {
        *self = match (text, text.parse::<u16>()) {
            ("", _) => Door::AtHome(port_default),
            ("shared", _) => Door::Shared,
            (_, Ok(port)) => Door::At(at_home(port)),
            _ => Door::At(text.parse().map_err(|_| {
                format!("not `shared` or an address and a port, such as 127.0.0.1:{port_default}")
            })?),
        };
        Ok(())
    }
}

fn at_home(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// One setting.
pub struct Setting {
    /// Its key in the file; `GANCHO_` and capitals make the environment variable of it.
    pub key: &'static str,
    /// What it means, in English and in Spanish.
    pub doc: (&'static str, &'static str),
    /// What holds when nobody says otherwise.
    pub default: &'static str,
    /// Whether its value is never shown.
    pub is_secret: bool,
    /// Another environment variable that platforms as a service set for the same thing.
    pub also: Option<&'static str>,
    read: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("GANCHO_{}", self.key.to_ascii_uppercase())
    }

    /// Reads a value into the configuration; says what is wrong with it in words.
    pub fn apply(&self, config: &mut Config, value: &str) -> Result<(), String> {
        (self.read)(config, value)
    }
}

const PLAIN: Setting =
    Setting { key: "", doc: ("", ""), default: "", is_secret: false, also: None, read: |_, _| Ok(()) };

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        doc: (
            "address and port to listen on; `PORT` alone keeps the address",
            "dirección y puerto donde escuchar; `PORT` solo cambia el puerto",
        ),
        default: "127.0.0.1:8080",
        also: Some("PORT"),
        read: |config, text| {
            if let Ok(port) = text.parse::<u16>() {
                config.listen.set_port(port);
                return Ok(());
            }
            set(&mut config.listen, text, "an address and a port, such as 127.0.0.1:8080")
        },
        ..PLAIN
    },
    Setting {
        key: "api_listen",
        doc: (
            "address and port of the API; `shared`: with the webhooks; empty: with them while they are on loopback, else 127.0.0.1:8081",
            "dirección y puerto de la API; `shared`: junto a los webhooks; vacío: con ellos mientras estén en loopback, si no 127.0.0.1:8081",
        ),
        read: |config, text| config.api_listen.set(text, 8081),
        ..PLAIN
    },
    Setting {
        key: "operations_listen",
        doc: (
            "address and port of metrics; `shared`: with the webhooks; empty: with them while they are on loopback, else 127.0.0.1:8082; health is there and with the webhooks",
            "dirección y puerto de las métricas; `shared`: junto a los webhooks; vacío: con ellos mientras estén en loopback, si no 127.0.0.1:8082; el estado está allí y junto a los webhooks",
        ),
        read: |config, text| config.operations_listen.set(text, 8082),
        ..PLAIN
    },
    Setting {
        key: "public_url",
        doc: (
            "where platforms reach this gateway, such as https://hooks.example.com; needed to register its URLs with them",
            "dónde alcanzan las plataformas a este gateway, como https://hooks.example.com; hace falta para registrar sus URL en ellas",
        ),
        read: |config, text| set_origin(&mut config.public_url, text),
        ..PLAIN
    },
    Setting {
        key: "trusted_proxies",
        doc: (
            "networks (CIDR, comma-separated) of your own proxies, whose X-Forwarded-For is believed",
            "redes (CIDR, separadas por comas) de tus propios proxies, cuyo X-Forwarded-For se cree",
        ),
        read: |config, text| set_networks(&mut config.trusted_proxies, text),
        ..PLAIN
    },
    Setting {
        key: "store",
        doc: (
            "`sqlite:<folder>` (embedded) or `postgres://…`",
            "`sqlite:<carpeta>` (integrado) o `postgres://…`",
        ),
        default: "sqlite:./gancho-data",
        is_secret: true,
        also: Some("DATABASE_URL"),
        read: |config, text| {
            config.store = Secret::new(text);
            store::Location::parse(text).map(|_| ()).map_err(|error| error.to_string())
        },
    },
    Setting {
        key: "files",
        doc: (
            "where the bytes of files are kept: a folder, or `s3://bucket/folder`, which several nodes need; empty: the folder `files` beside the embedded store",
            "dónde se guardan los bytes de los archivos: una carpeta, o `s3://bucket/carpeta`, que hace falta con varios nodos; vacío: la carpeta `files` junto al almacén integrado",
        ),
        read: |config, text| {
            config.files = text.to_owned();
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        key: "files_s3_endpoint",
        doc: (
            "where the bucket is, when that is not AWS, such as https://minio.example.com; egress_allow must let it be reached",
            "dónde está el bucket, si no es AWS, como https://minio.example.com; egress_allow debe permitir alcanzarlo",
        ),
        read: |config, text| set_origin(&mut config.files_s3_endpoint, text),
        ..PLAIN
    },
    Setting {
        key: "files_s3_region",
        doc: ("region of the bucket", "región del bucket"),
        default: "us-east-1",
        also: Some("AWS_REGION"),
        read: |config, text| {
            config.files_s3_region = text.to_owned();
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        key: "files_s3_key_id",
        doc: ("id of the key to the bucket", "id de la clave del bucket"),
        also: Some("AWS_ACCESS_KEY_ID"),
        read: |config, text| {
            config.files_s3_key_id = text.to_owned();
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        key: "files_s3_secret",
        doc: ("key to the bucket", "clave del bucket"),
        is_secret: true,
        also: Some("AWS_SECRET_ACCESS_KEY"),
        read: |config, text| {
            config.files_s3_secret = Secret::new(text);
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        key: "file_bytes_max",
        doc: ("largest file that is kept, in bytes", "archivo más grande que se guarda, en bytes"),
        default: "104857600",
        read: |config, text| set(&mut config.file_bytes_max, text, "a whole number of bytes"),
        ..PLAIN
    },
    Setting {
        key: "node",
        doc: (
            "number of this node, different on each node of the same PostgreSQL (0 to 1023)",
            "número de este nodo, distinto en cada nodo del mismo PostgreSQL (0 a 1023)",
        ),
        default: "0",
        read: |config, text| {
            set(&mut config.node, text, "a whole number")?;
            if config.node < model::id::NODES_MAX { Ok(()) } else { Err("at most 1023".to_owned()) }
        },
        ..PLAIN
    },
    Setting {
        key: "admin_token",
        doc: (
            "first admin token, at least 32 characters; without it nobody can use the API",
            "primer token de administración, de al menos 32 caracteres; sin él nadie puede usar la API",
        ),
        default: "",
        is_secret: true,
        read: |config, text| {
            if !text.is_empty() && text.len() < 32 {
                return Err("at least 32 characters; `openssl rand -hex 32` makes a good one".to_owned());
            }
            config.admin_token = (!text.is_empty()).then(|| Secret::new(text));
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        key: "egress_allow",
        doc: (
            "networks (CIDR, comma-separated) that may be delivered to although they are not public",
            "redes (CIDR, separadas por comas) a las que se puede entregar aunque no sean públicas",
        ),
        read: |config, text| set_networks(&mut config.egress_allow, text),
        ..PLAIN
    },
    Setting {
        key: "egress_http",
        doc: (
            "whether platforms may be called over plain http: for simulators only",
            "si se puede llamar a las plataformas por http sin cifrar: solo para simuladores",
        ),
        default: "false",
        read: |config, text| set(&mut config.egress_http, text, "true or false"),
        ..PLAIN
    },
    Setting {
        key: "body_bytes_max",
        doc: ("largest body that is accepted, in bytes", "cuerpo más grande que se acepta, en bytes"),
        default: "3145728",
        read: |config, text| set(&mut config.body_bytes_max, text, "a whole number of bytes"),
        ..PLAIN
    },
    Setting {
        key: "in_hand_bytes_max",
        doc: (
            "bytes of webhooks that are being read or wait to be stored, in all; beyond it senders are asked to come back",
            "bytes de webhooks que se están leyendo o esperan a guardarse, en total; más allá se pide a los emisores que vuelvan",
        ),
        default: "134217728",
        read: |config, text| {
            set(&mut config.in_hand_bytes_max, text, "a whole number of bytes")?;
            let least = ingest::Config::least_in_hand(config.body_bytes_max);
            if config.in_hand_bytes_max >= least {
                return Ok(());
            }
            Err(format!("at least {least}: a body of body_bytes_max and what is read in it must find room"))
        },
        ..PLAIN
    },
    Setting {
        key: "connections_max",
        doc: ("open connections in all", "conexiones abiertas en total"),
        default: "4096",
        read: |config, text| set(&mut config.connections_max, text, "a whole number"),
        ..PLAIN
    },
    Setting {
        key: "connections_per_address_max",
        doc: ("open connections from one address", "conexiones abiertas desde una misma dirección"),
        default: "512",
        read: |config, text| set(&mut config.connections_per_address_max, text, "a whole number"),
        ..PLAIN
    },
    Setting {
        key: "deliveries_in_flight",
        doc: (
            "deliveries under way at once, over all endpoints",
            "entregas en curso a la vez, entre todos los endpoints",
        ),
        default: "512",
        read: |config, text| set(&mut config.deliveries_in_flight, text, "a whole number"),
        ..PLAIN
    },
    Setting {
        key: "keep_bodies",
        doc: (
            "how long bodies of requests are kept",
            "cuánto tiempo se guardan los cuerpos de las peticiones",
        ),
        default: "30d",
        read: |config, text| set_wait(&mut config.keep_bodies, text),
        ..PLAIN
    },
    Setting {
        key: "keep_metadata",
        doc: ("how long everything else is kept", "cuánto tiempo se guarda todo lo demás"),
        default: "90d",
        read: |config, text| set_wait(&mut config.keep_metadata, text),
        ..PLAIN
    },
    Setting {
        key: "drain",
        doc: (
            "how long shutdown waits for what is under way",
            "cuánto espera el apagado por lo que está en curso",
        ),
        default: "25s",
        read: |config, text| set_wait(&mut config.drain, text),
        ..PLAIN
    },
    Setting {
        key: "log_json",
        doc: ("whether logs are JSON, one object a line", "si los registros son JSON, un objeto por línea"),
        default: "false",
        read: |config, text| set(&mut config.log_json, text, "true or false"),
        ..PLAIN
    },
    Setting {
        key: "log",
        doc: (
            "what is logged, as in `info` or `warn,delivery=debug`",
            "qué se registra, como `info` o `warn,delivery=debug`",
        ),
        default: "info",
        read: |config, text| {
            config.log = text.to_owned();
            Ok(())
        },
        ..PLAIN
    },
];

impl Config {
    /// Every setting at its default.
    pub fn defaults() -> Config {
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            api_listen: Door::AtHome(8081),
            operations_listen: Door::AtHome(8082),
            public_url: None,
            trusted_proxies: Vec::new(),
            store: Secret::new(""),
            files: String::new(),
            files_s3_endpoint: None,
            files_s3_region: String::new(),
            files_s3_key_id: String::new(),
            files_s3_secret: Secret::new(""),
            file_bytes_max: 0,
            node: 0,
            admin_token: None,
            egress_allow: Vec::new(),
            egress_http: false,
            body_bytes_max: 0,
            in_hand_bytes_max: 0,
            connections_max: 0,
            connections_per_address_max: 0,
            deliveries_in_flight: 0,
            keep_bodies: Duration::ZERO,
            keep_metadata: Duration::ZERO,
            drain: Duration::ZERO,
            log_json: false,
            log: String::new(),
        };
        for setting in SETTINGS {
            setting.apply(&mut config, setting.default).expect("a test reads every default");
        }
        config
    }
}

fn set<T: std::str::FromStr>(field: &mut T, text: &str, wanted: &str) -> Result<(), String> {
    *field = text.parse().map_err(|_| format!("not {wanted}"))?;
    Ok(())
}

/// Scheme and host alone: paths are ours.
fn set_origin(field: &mut Option<String>, text: &str) -> Result<(), String> {
    let origin = text.trim_end_matches('/');
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let is_origin = host.is_some_and(|host| {
        !host.is_empty()
            && !host.contains(['/', '?', '#', '@'])
            && host.parse::<http::uri::Authority>().is_ok()
    });
    match is_origin || text.is_empty() {
        true => *field = Some(origin.to_owned()).filter(|origin| !origin.is_empty()),
        false => return Err("not scheme and host, such as https://hooks.example.com".to_owned()),
    }
    Ok(())
}

fn set_networks(field: &mut Vec<IpNet>, text: &str) -> Result<(), String> {
    let networks = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read: Result<Vec<IpNet>, _> = networks.map(str::parse).collect();
    *field = read.map_err(|_| "not networks such as 10.0.0.0/8,192.168.0.0/16".to_owned())?;
    Ok(())
}

fn set_wait(field: &mut Duration, text: &str) -> Result<(), String> {
    *field = parse_wait(text).ok_or("not a duration such as 250ms, 5s, 5m, 2h or 30d")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_read_and_every_key_is_its_own() {
        Config::defaults();
        for (at, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[at + 1..].iter().all(|other| other.key != setting.key), "{}", setting.key);
            assert!(!setting.doc.0.is_empty() && !setting.doc.1.is_empty(), "{}", setting.key);
        }
    }

    #[test]
    fn there_is_room_for_the_largest_body_or_no_start() {
        let mut config = Config::defaults();
        let setting = |key| SETTINGS.iter().find(|setting| setting.key == key).expect("it is there");
        let room = setting("in_hand_bytes_max");
        assert!(room.apply(&mut config, "3145728").is_err_and(|words| words.contains("body_bytes_max")));
        assert_eq!(setting("body_bytes_max").apply(&mut config, "200000000"), Ok(()));
        assert!(room.apply(&mut config, room.default).is_err());
        assert_eq!(room.apply(&mut config, "250000000"), Ok(()));
        assert_eq!(setting("body_bytes_max").apply(&mut config, &usize::MAX.to_string()), Ok(()));
        assert!(room.apply(&mut config, "250000000").is_err());
    }

    #[test]
    fn a_port_alone_keeps_the_address() {
        let mut config = Config::defaults();
        let listen = SETTINGS.iter().find(|setting| setting.key == "listen").expect("it is there");
        assert_eq!(listen.apply(&mut config, "9000"), Ok(()));
        assert_eq!(config.listen.to_string(), "127.0.0.1:9000");
        assert!(listen.apply(&mut config, "nowhere").is_err());
    }

    #[test]
    fn what_is_not_for_everybody_is_not_put_before_everybody_unasked() {
        let (mut config, setting) = (Config::defaults(), |key| {
            SETTINGS.iter().find(|setting| setting.key == key).expect("it is there")
        });
        let (here, everywhere) = (config.listen, "0.0.0.0:80".parse().expect("an address"));
        assert_eq!(config.api_listen.beside(here), None);
        assert_eq!(config.api_listen.beside(everywhere), Some(at_home(8081)));
        assert_eq!(config.operations_listen.beside(everywhere), Some(at_home(8082)));
        for (text, own) in [("shared", None), ("9000", Some(at_home(9000))), ("", Some(at_home(8081)))] {
            assert_eq!(setting("api_listen").apply(&mut config, text), Ok(()));
            assert_eq!(config.api_listen.beside(everywhere), own, "{text}");
        }
        assert!(setting("api_listen").apply(&mut config, "public").is_err());
    }
}
