//! Reads what MySQL and MariaDB write about themselves: decoder `mysql_slow`.

mod slow;

pub use slow::MysqlSlowDecoder;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "mysql_slow" => MysqlSlowDecoder,
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::DecoderTest;

    #[test]
    fn the_plugin_of_the_sample_opens() {
        let sample: toml::Table = include_str!("../sample.toml").parse().unwrap();
        let mut options = sample["decoders"]["slow"].as_table().unwrap().clone();
        assert_eq!(options.remove("plugin").unwrap().as_str(), Some("mysql_slow"));
        DecoderTest::<MysqlSlowDecoder>::open(&options.to_string()).unwrap();
    }
}
