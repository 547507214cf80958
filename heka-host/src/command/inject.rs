//! `heka-host inject`: one message to a running host.

mod field;
mod signature;

use super::admin::client::Target;
use super::peer::Peer;
use crate::status;
use field::FieldArgument;
use heka_heka::framing::write_frame;
use heka_heka::protobuf::put_message;
use heka_object::uuid_text;
use heka_plugin_api::cause;
use heka_plugin_api::{OwnedMessage, now, random_uuid};
use signature::SignatureArguments;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

/// How long the host may take nothing.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest payload that is read from standard input, in bytes.
const PAYLOAD_BYTES_MAX: u64 = 64 << 20;

/// Send one message to a running host, as a Heka frame, and print its UUID.
///
/// The host needs an input `tcp` or `udp` there, with `splitter = "heka"` and `decoder = "heka"`; at admin:PATH, its
/// admin socket, it needs none.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  heka-host inject 127.0.0.1:5565 --type deploy --payload 'v12 is out' --field build=1207"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    peer: Peer,
    /// The message's type
    #[arg(long = "type", value_name = "TYPE", default_value = "heka.inject")]
    message_type: String,
    /// Who logs it
    #[arg(long, default_value = "heka-host")]
    logger: String,
    /// Its severity: 0, an emergency, to 7, a detail
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(0..=7))]
    severity: i32,
    /// Its text; `-` reads it from standard input
    #[arg(long, default_value = "", hide_default_value = true)]
    payload: String,
    /// Its process id; without it, this program's own
    #[arg(long)]
    pid: Option<i32>,
    /// Its machine; without it, this one
    #[arg(long)]
    hostname: Option<String>,
    /// A field, NAME=VALUE; may be given several times. A VALUE that reads as one is an integer, a double, or true
    /// or false; NAME:=VALUE makes it text
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<FieldArgument>,
    #[command(flatten)]
    signature: SignatureArguments,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match inject(arguments) {
        Ok(sent) => {
            println!("{sent}");
            status::DONE
        }
        Err(why) => {
            eprintln!("heka-host: {why}");
            status::FAILED
        }
    }
}

fn inject(arguments: &Arguments) -> Result<String, String> {
    let message = message(arguments, &payload(arguments)?)?;
    let (mut body, mut frame) = (Vec::new(), Vec::new());
    put_message(&message.view(), &mut body);
    match arguments.signature.signer()? {
        None => write_frame(&body, None, &mut frame),
        Some(signer) => signer.write_frame(&body, &mut frame),
    }
    send(&arguments.peer, &frame)?;
    let uuid = uuid_text(message.view().uuid());
    Ok(format!("sent {}, {} bytes", uuid.escape_ascii(), frame.len()))
}

fn payload(arguments: &Arguments) -> Result<Vec<u8>, String> {
    if arguments.payload != "-" {
        return Ok(arguments.payload.clone().into_bytes());
    }
    let mut payload = Vec::new();
    let read = std::io::stdin().lock().take(PAYLOAD_BYTES_MAX + 1).read_to_end(&mut payload);
    match read {
        Err(error) => Err(format!("failed to read the payload from standard input: {}", cause(&error))),
        Ok(bytes) if bytes as u64 > PAYLOAD_BYTES_MAX => {
            Err(format!("the payload on standard input is longer than {PAYLOAD_BYTES_MAX} bytes"))
        }
        Ok(_) => Ok(payload),
    }
}

fn message(arguments: &Arguments, payload: &[u8]) -> Result<OwnedMessage, String> {
    let own_pid = || i32::try_from(std::process::id()).unwrap_or_default();
    let hostname = arguments.hostname.clone().unwrap_or_else(own_hostname);
    let built = OwnedMessage::build(|builder| {
        builder.uuid(random_uuid()).timestamp(now()).severity(arguments.severity);
        builder.pid(arguments.pid.unwrap_or_else(own_pid));
        builder.message_type(&arguments.message_type).logger(&arguments.logger);
        builder.payload(payload).hostname(&hostname);
        for field in &arguments.fields {
            builder.field(&field.name, field.value.view());
        }
    });
    built.map_err(|error| format!("failed to make the message: {}", error.reason()))
}

/// Returns this machine's name.
pub(super) fn own_hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn send(peer: &Peer, frame: &[u8]) -> Result<(), String> {
    if let Some(socket) = peer.admin_socket() {
        return Target::Socket(socket.to_owned()).inject(frame);
    }
    let connection = peer.connect()?;
    let sent = connection.set_send_timeout(SEND_TIMEOUT).and_then(|()| connection.send_all(frame));
    sent.and_then(|()| connection.wait_for_error()).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            format!("failed to send to `{peer}`: it took nothing for {} s", SEND_TIMEOUT.as_secs())
        }
        std::io::ErrorKind::ConnectionRefused => {
            format!("failed to send to `{peer}`: nobody listens there")
        }
        _ => format!("failed to send {} bytes to `{peer}`: {}", frame.len(), cause(&error)),
    })
}

#[cfg(test)]
mod tests;
