//! The admin endpoint's table, `[heka.admin]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::document::{Node, NodeValue};
use super::section::Section;

/// Shorter tokens are guessed too easily.
const TOKEN_CHARS_MIN: usize = 16;
/// Longer ones don't fit into a request's head.
const TOKEN_CHARS_MAX: usize = 1024;

/// Holds what `[heka.admin]` says: where a daemon answers questions about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdminConfig {
    /// The unix socket. Default `admin.sock` in the state directory.
    pub socket: AdminSocket,
    /// The TCP address to listen at, beside the socket, with the token that requests need. Default none.
    pub listen: Option<AdminListen>,
}

/// The unix socket of the admin endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminSocket {
    /// `admin.sock` in the state directory.
    #[default]
    Default,
    /// At a path; relative to the working directory.
    Path(PathBuf),
    /// None.
    Off,
}

/// A TCP address of the admin endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminListen {
    /// Where to listen.
    pub address: SocketAddr,
    /// What requests must bring.
    pub token: TokenSource,
}

/// Where a token comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenSource {
    /// The config itself.
    Given(Token),
    /// The first line of a file, read at the start.
    File(PathBuf),
}

/// A secret that requests over TCP bring; `Debug` doesn't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a text as a token.
    ///
    /// # Errors
    /// What a token must be like, if the text isn't: 16 to 1024 printable ASCII characters without spaces.
    pub fn new(text: &str) -> Result<Token, String> {
        let fits = (TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&text.len());
        match fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Token(text.to_owned())),
            false => Err(format!(
                "a token has {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} printable ASCII characters and no spaces"
            )),
        }
    }

    /// Returns the secret.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl AdminConfig {
    pub(super) fn read(mut section: Section<'_, '_>) -> AdminConfig {
        let socket = read_socket(&mut section);
        let address = read_address(&mut section);
        let token = read_token(&mut section);
        let listen = match (address, token) {
            (Some((address, _)), Some(token)) => Some(AdminListen { address, token }),
            (Some((_, node)), None) if !section.has("token") && !section.has("token_file") => {
                section.fail("listen", node, "needs a `token` or `token_file` beside it")
            }
            _ => None,
        };
        if !section.has("listen") {
            for key in ["token", "token_file"] {
                if let Some(node) = section.value(key) {
                    section.fail::<()>(key, node, "is only for `listen`; the socket needs none");
                }
            }
        }
        section.finish();
        AdminConfig { socket, listen }
    }

    /// Where the unix socket is, if there is one.
    pub fn socket_path(&self, state_dir: &Path) -> Option<PathBuf> {
        match &self.socket {
            AdminSocket::Default => Some(state_dir.join("admin.sock")),
            AdminSocket::Path(path) => Some(path.clone()),
            AdminSocket::Off => None,
        }
    }
}

fn read_socket(section: &mut Section<'_, '_>) -> AdminSocket {
    const EXPECTED: &str = "expected a path, or false";
    let Some(node) = section.value("socket") else { return AdminSocket::Default };
    match &node.value {
        NodeValue::String(path) if !path.is_empty() => return AdminSocket::Path(path.into()),
        NodeValue::Bool(false) => return AdminSocket::Off,
        _ => section.fail::<()>("socket", node, EXPECTED),
    };
    AdminSocket::Default
}

fn read_address<'n>(section: &mut Section<'n, '_>) -> Option<(SocketAddr, &'n Node)> {
    let node = section.value("listen")?;
    let text = section.string("listen")?;
    match text.value.parse() {
        Ok(address) => Some((address, node)),
        Err(_) => section.fail("listen", node, "expected an address and a port, such as 127.0.0.1:5580"),
    }
}

fn read_token(section: &mut Section<'_, '_>) -> Option<TokenSource> {
    let (token, file) = (section.string("token"), section.string("token_file"));
    match (token, file, section.value("token")) {
        (Some(_), Some(_), Some(node)) => section.fail("token", node, "stands beside `token_file`; keep one"),
        (Some(token), None, Some(node)) => match Token::new(&token.value) {
            Ok(token) => Some(TokenSource::Given(token)),
            Err(why) => section.fail("token", node, &why),
        },
        (_, Some(file), _) => Some(TokenSource::File(file.value.into())),
        _ => None,
    }
}
