//! Any bytes are decoded or refused; what is decoded can be read whole.
#![no_main]

use heka_plugin_api::testing::DecoderTest;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static DECODER: RefCell<DecoderTest<heka_text::KvDecoder>> =
        RefCell::new(DecoderTest::open("").unwrap());
}

fuzz_target!(|bytes: &[u8]| {
    let messages = DECODER.with_borrow_mut(|decoder| decoder.decode(bytes));
    messages.iter().flatten().for_each(|message| _ = format!("{:?}", message.view()));
});
