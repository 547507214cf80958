//! `[heka.admin]`.

use super::*;

fn admin(text: &str) -> AdminConfig {
    config(&format!("[heka.admin]\n{text}\n{BASE}")).host.admin
}

fn check(text: &str, expected: &str) {
    super::check(&format!("[heka.admin]\n{text}"), true, &[expected]);
}

#[test]
fn the_socket_is_in_the_state_directory_unless_the_config_says_where_or_none() {
    let path = |admin: AdminConfig| admin.socket_path(Path::new("state"));
    assert_eq!(path(config(BASE).host.admin), Some(PathBuf::from("state/admin.sock")));
    assert_eq!(path(admin("")), Some(PathBuf::from("state/admin.sock")));
    assert_eq!(path(admin("socket = 'run/heka.sock'")), Some(PathBuf::from("run/heka.sock")));
    assert_eq!(path(admin("socket = false")), None);
    for text in ["socket = true", "socket = ''", "socket = 7"] {
        check(text, "heka.toml:2:10: [heka]: `admin`: `socket`: expected a path, or false");
    }
}

#[test]
fn tcp_needs_an_address_and_a_token() {
    let listen = admin("listen = '127.0.0.1:5580'\ntoken = '0123456789abcdef'").listen.unwrap();
    assert_eq!(listen.address, "127.0.0.1:5580".parse().unwrap());
    assert_eq!(listen.token, TokenSource::Given(Token::new("0123456789abcdef").unwrap()));
    let listen = admin("listen = '[::1]:1'\ntoken_file = 'secret'").listen.unwrap();
    assert_eq!(listen.token, TokenSource::File("secret".into()));
    check(
        "listen = '127.0.0.1:5580'",
        "heka.toml:2:10: [heka]: `admin`: `listen`: needs a `token` or `token_file` beside it",
    );
    check(
        "token_file = 'x'",
        "heka.toml:2:14: [heka]: `admin`: `token_file`: is only for `listen`; the socket needs none",
    );
    check(
        "listen = ':80'\ntoken_file = 'x'",
        "heka.toml:2:10: [heka]: `admin`: `listen`: expected an address and a port, such as 127.0.0.1:5580",
    );
    check(
        "listen = '127.0.0.1:1'\ntoken = '0123456789abcdef'\ntoken_file = 'x'",
        "heka.toml:3:9: [heka]: `admin`: `token`: stands beside `token_file`; keep one",
    );
    check("tocken = 'x'", "heka.toml:2:1: [heka]: `admin`: unknown key `tocken`; did you mean `token`");
}

#[test]
fn tokens_are_long_enough_and_fit_into_a_header() {
    for token in ["", "short", "0123456789 abcdef", "0123456789äbcdef", "0123456789abcde"] {
        check(
            &format!("listen = '127.0.0.1:1'\ntoken = '{token}'"),
            "heka.toml:3:9: [heka]: `admin`: `token`: a token has 16 to 1024 printable ASCII characters and no spaces",
        );
    }
    assert!(Token::new(&"x".repeat(1025)).is_err());
    assert_eq!(format!("{:?}", Token::new("0123456789abcdef").unwrap()), "Token(…)");
}
