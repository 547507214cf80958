//! Any text is a matcher or is refused; a matcher survives a message.
#![no_main]

use heka_matcher::Matcher;
use heka_plugin_api::testing::message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(matcher) = Matcher::parse(text) else { return };
    let message = message(|m| {
        m.message_type("nginx").payload(text).field("status", 503).field("name", text);
    });
    matcher.matches(&message.view());
});
