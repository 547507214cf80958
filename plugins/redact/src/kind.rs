//! What is looked for: expressions, and what must hold beside them.

use heka_plugin_api::OptionType;
use serde::Deserialize;
use std::net::Ipv6Addr;

/// The shortest IPv6 address that is taken for one: shorter ones are mostly something else, such as `a::b`.
const IPV6_BYTES_MIN: usize = 6;

/// A group of kinds, as the option `find` names it.
#[derive(Deserialize, OptionType, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Card numbers.
    Cards,
    /// Keys and tokens of APIs.
    Tokens,
    /// Passwords.
    Passwords,
    /// E-mail addresses.
    Emails,
    /// IP addresses.
    IpAddresses,
}

/// What must hold of a text that an expression has found: the whole text, and where.
type Check = fn(&[u8], std::ops::Range<usize>) -> bool;

/// One kind of secret. The secret is group 1 of the expression.
pub struct Kind {
    pub group: Group,
    pub name: &'static str,
    pub pattern: &'static str,
    pub is_one: Check,
}

const ANY: Check = |_, _| true;

/// The kinds; where two begin at the same place, the first counts.
pub const KINDS: [Kind; 11] = [
    Kind {
        group: Group::Tokens,
        name: "jwt",
        pattern: r"\b(eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*)",
        is_one: ANY,
    },
    Kind {
        group: Group::Tokens,
        name: "authorization",
        pattern: r#"(?i:\bauthorization)["']?\s*[=:]\s*["']?(?i:(?:basic|bearer|digest|negotiate|token)\s+)?([^\s"',]+)"#,
        is_one: ANY,
    },
    Kind {
        group: Group::Tokens,
        name: "bearer",
        pattern: r"(?i:\bbearer)\s+([A-Za-z0-9._~+/-]{8,}=*)",
        is_one: ANY,
    },
    Kind {
        group: Group::Tokens,
        name: "aws_key",
        pattern: r"\b((?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA)[A-Z2-7]{16})\b",
        is_one: ANY,
    },
    Kind {
        group: Group::Passwords,
        name: "url_password",
        pattern: r#"://[^\s/:@"'?#]*:([^\s/@"']+)@"#,
        is_one: ANY,
    },
    Kind {
        group: Group::Passwords,
        name: "password",
        pattern: r#"(?i:passw(?:or)?d|passphrase|pwd|secret|token|api_?-?key|access_?-?key)["']?\s*[=:]\s*["']([^"']+)["']"#,
        is_one: ANY,
    },
    Kind {
        group: Group::Passwords,
        name: "password",
        pattern: r#"(?i:passw(?:or)?d|passphrase|pwd|secret|token|api_?-?key|access_?-?key)["']?\s*[=:]\s*([^\s"'&,;]+)"#,
        is_one: ANY,
    },
    Kind {
        group: Group::Cards,
        name: "card",
        pattern: r"\b([2-6](?:\d{12,18}|\d{3}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{3}[ -]\d{6}[ -]\d{4,5}))\b",
        is_one: |text, range| has_check_digit(&text[range]),
    },
    Kind {
        group: Group::Emails,
        name: "email",
        pattern: r"\b([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
        is_one: ANY,
    },
    Kind {
        group: Group::IpAddresses,
        name: "ip",
        pattern: r"\b((?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d))\b",
        is_one: |text, range| !is_number_around(text, range),
    },
    Kind {
        group: Group::IpAddresses,
        name: "ip",
        pattern: r"([0-9A-Fa-f:]*:[0-9A-Fa-f:]*:(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*))",
        is_one: is_ipv6,
    },
];

/// Tells whether the last of these digits is the one that the others ask for (Luhn).
fn has_check_digit(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Tells whether a dotted number goes on before or behind, as versions do: `1.2.3.4.5`.
fn is_number_around(text: &[u8], range: std::ops::Range<usize>) -> bool {
    let before = text[..range.start].last() == Some(&b'.');
    let after =
        text[range.end..].first() == Some(&b'.') && text.get(range.end + 1).is_some_and(u8::is_ascii_digit);
    before || after
}

fn is_ipv6(text: &[u8], range: std::ops::Range<usize>) -> bool {
    let is_part =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b":_".contains(byte));
    let found = &text[range.clone()];
    let stands_alone = !is_part(text[..range.start].last()) && !is_part(text.get(range.end));
    let parsed = || std::str::from_utf8(found).is_ok_and(|found| found.parse::<Ipv6Addr>().is_ok());
    found.len() >= IPV6_BYTES_MIN && stands_alone && parsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_checked() {
        let good = ["4111111111111111", "5500-0000-0000-0004", "3400 000000 00009", "6011000000000004", "0"];
        good.iter().for_each(|text| assert!(has_check_digit(text.as_bytes()), "{text}"));
        let bad = ["4111111111111112", "4111111111111121", "1"];
        bad.iter().for_each(|text| assert!(!has_check_digit(text.as_bytes()), "{text}"));
    }
}
