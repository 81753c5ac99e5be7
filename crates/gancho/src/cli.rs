//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The webhook gateway for conversations.
#[derive(Debug, Parser)]
#[command(
    name = "gancho",
    version,
    about,
    after_help = "Examples:
  gancho demo                      see a conversation go through, with nothing to set up
  gancho demo --platform all       the same on every platform at once
  gancho serve --set listen=127.0.0.1:9000
  gancho simulate                  write to your bot as its customer, in a browser
  gancho trigger --list            every webhook that can be sent to a gateway as its platform would
  gancho bench ingest --seconds 5"
)]
pub struct Cli {
    /// The configuration file; `gancho.toml` is read when it is there.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one setting, over file and environment; may be given several times.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows whole conversations on this machine: simulated platforms, the gateway, and a bot.
    Demo(DemoArgs),
    /// Plays a platform for your bot: a page where you write as its customer, with no account anywhere.
    #[command(after_help = SIMULATE_EXAMPLES)]
    Simulate(SimulateArgs),
    /// Sends a sample of a platform's webhook to a running gateway, signed as the platform would.
    #[command(after_help = TRIGGER_EXAMPLES)]
    Trigger(TriggerArgs),
    /// Runs the gateway.
    Serve,
    /// Measures the product as it runs, against the floor of the same server without a store.
    Bench(BenchArgs),
    /// The floor of a bench: the same server and checks without a store.
    #[command(hide = true)]
    Floor(FloorArgs),
    /// Checks that everything in the store adds up and that no byte of the file is damaged.
    Check,
    /// Brings the store's schema up to date.
    Migrate,
    /// Makes an admin token and prints it once.
    Token {
        /// What to call it.
        #[arg(long, default_value = "admin")]
        name: String,
        /// What it may do: admin, operator, viewer or sender.
        #[arg(long, default_value = "admin")]
        role: String,
    },
    /// Signs a body as Standard Webhooks does and prints the headers.
    Sign(SignArgs),
    /// Verifies a body and its Standard Webhooks headers.
    Verify(VerifyArgs),
    /// Looks at the configuration.
    Config {
        /// What to look at.
        #[command(subcommand)]
        what: ConfigCommand,
    },
}

/// What to look at of the configuration.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting, its value and where the value came from.
    Print,
    /// A complete, commented example file.
    Example,
}

/// How to show the demo.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Ends when the conversation is over; the exit code is 0 only if everything arrived once and in order.
    #[arg(long)]
    pub once: bool,
    /// Where the customer writes, at the same time: platforms with commas between them, or `all`; WhatsApp alone when absent.
    #[arg(long, value_name = "PLATFORM,…", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// How many messages the customer sends, on each platform.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub messages: u32,
}

const SIMULATE_EXAMPLES: &str = "Examples:
  gancho simulate                  with a bot of ours that says everything again
  gancho simulate --url http://127.0.0.1:9000/hook
  gancho simulate --platform telegram --url https://my-bot.example/hook
  gancho simulate --url http://127.0.0.1:9000/hook --format platform";

/// Which platform to play, and for whom.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The platform that your customer writes on.
    #[arg(long, default_value = "whatsapp")]
    pub platform: String,
    /// Where your bot takes events: https, or plain http on this machine. Without it a bot of ours answers.
    #[arg(long)]
    pub url: Option<String>,
    /// What your bot is sent: `standard`, the gateway's own events, or `platform`, what the platform itself would send.
    #[arg(long, default_value = "standard", value_parser = ["standard", "platform"])]
    pub format: String,
    /// Where the page is. Whoever reaches it can write as the customer and read the conversation.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
}

const TRIGGER_EXAMPLES: &str = "Examples:
  gancho trigger --list
  gancho trigger telegram --list
  gancho trigger telegram.message --to http://127.0.0.1:8080/in/src_… --secret-file secret
  gancho trigger stripe.payment_succeeded --to … --set data.object.amount=500 --repeat 10
  gancho trigger whatsapp.message --to … --duplicate          the same bytes twice: one event
  gancho trigger github.push --to … --wrong-signature         0 only if it is refused
  gancho trigger generic.event --to … --source scheme=header --source header=X-Api-Key";

/// What to send, where to, and how.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// The sample, `<platform>.<event>`, such as `telegram.message`; with `--list`, a platform.
    #[arg(required_unless_present = "list")]
    pub sample: Option<String>,
    /// The webhook URL of the source, as it is entered at the platform: `…/in/src_…`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub to: String,
    /// The file with the secret that the source proves requests with; `GANCHO_TRIGGER_SECRET` when absent. Everybody on a machine
    /// sees its command lines. For Discord it is the seed of a key pair, 64 characters of 0-9 and a-f.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Which of the source's secrets it is, where the platform knows several ways: signing, credential or access_token.
    #[arg(long, value_parser = ["signing", "credential", "access_token"])]
    pub role: Option<String>,
    /// A setting of the source that says how it proves requests, such as `scheme=basic`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub source: Vec<(String, String)>,
    /// Puts a value into the body before it is signed, at a path like `message.text` or `/message/text`; may be given several
    /// times.
    #[arg(long, value_name = "PATH=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Where it happens: the number or id of one of your accounts.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Who has done it: a number, or an id of the platform's.
    #[arg(long, value_name = "ID")]
    pub contact: Option<String>,
    /// The message that it is about, as the platform names it: of a status, a reaction, a reply.
    #[arg(long, value_name = "ID")]
    pub about: Option<String>,
    /// What is said, where something is.
    #[arg(long, value_name = "WORDS")]
    pub text: Option<String>,
    /// How many events to send, one after the other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: u32,
    /// Sends each request twice, byte for byte the same.
    #[arg(long)]
    pub duplicate: bool,
    /// Signs with another secret; the exit code is 0 only if everything is refused.
    #[arg(long)]
    pub wrong_signature: bool,
    /// Shows every sample, what becomes of it, and the role of the secret that proves it.
    #[arg(long)]
    pub list: bool,
    /// Prints one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// What to measure and how.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// What: ingest, delivery, cycle, backlog, listing or retention.
    #[arg(value_parser = ["ingest", "delivery", "cycle", "backlog", "listing", "retention"])]
    pub what: String,
    /// The store: `sqlite` (a fresh temporary folder) or `postgres://…`.
    #[arg(long, default_value = "sqlite")]
    pub store: String,
    /// How many connections the load comes over.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// How long to measure, in seconds; `ingest` measures its floor for as long, in turns.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// How many events are there already, or wait already.
    #[arg(long, default_value_t = 0)]
    pub stored: u64,
    /// Offers this many requests a second instead of as many as possible.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Prints one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// What the floor does besides checking signatures.
#[derive(Clone, Debug, Args)]
pub struct FloorArgs {
    /// The secret that requests are signed with.
    #[arg(long)]
    pub secret: String,
    /// Where to post each body before answering.
    #[arg(long)]
    pub forward: Option<String>,
}

/// What to sign.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The file with the secret, `whsec_…`; `GANCHO_SIGNING_SECRET` when absent. Everybody on a machine sees its command
    /// lines.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The id of the message.
    #[arg(long)]
    pub id: String,
    /// Seconds since the epoch; now when absent.
    #[arg(long)]
    pub timestamp: Option<i64>,
    /// The file with the body; standard input when absent.
    pub body: Option<PathBuf>,
}

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What was signed, and with what.
    #[command(flatten)]
    pub signed: SignArgs,
    /// The `webhook-signature` header.
    #[arg(long)]
    pub signature: String,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("as in listen=127.0.0.1:9000")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
