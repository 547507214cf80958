//! Who may send what where.

use super::answer::Answer;
use super::config::Config;
use super::head::Head;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// Decides whether a request is taken, before its body is read.
pub struct Access {
    /// `name:password`.
    users: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
    methods: Vec<String>,
    paths: Vec<String>,
}

impl Access {
    /// Takes the rules of a config.
    pub fn new(config: &Config) -> Access {
        let users = config.users.iter().map(|(name, password)| format!("{name}:{password}").into_bytes());
        Access {
            users: users.collect(),
            tokens: config.tokens.iter().map(|token| token.clone().into_bytes()).collect(),
            methods: config.methods.clone(),
            paths: config.paths.clone(),
        }
    }

    /// Refuses a request that is not allowed.
    ///
    /// # Errors
    /// What it is answered.
    pub fn check(&self, head: &Head) -> Result<(), Answer> {
        if !self.is_known(head.authorization.as_deref()) {
            let scheme =
                if self.users.is_empty() { "Bearer" } else { "Basic realm=\"heka\", charset=\"UTF-8\"" };
            let refusal = Answer::refusal(401, "show who you are");
            return Err(refusal.with_header(format!("WWW-Authenticate: {scheme}")));
        }
        if !self.takes_path(&head.path) {
            return Err(Answer::refusal(404, "nothing is taken at this path"));
        }
        if !self.methods.contains(&head.method) {
            let allow = self.methods.join(", ");
            let refusal = Answer::refusal(405, format!("take one of these methods: {allow}"));
            return Err(refusal.with_header(format!("Allow: {allow}")));
        }
        Ok(())
    }

    /// Takes the same time for any wrong secret of the same length.
    fn is_known(&self, authorization: Option<&[u8]>) -> bool {
        if self.users.is_empty() && self.tokens.is_empty() {
            return true;
        }
        let Some(value) = authorization else { return false };
        let (scheme, given) =
            value.split_at(value.iter().position(|&byte| byte == b' ').unwrap_or(value.len()));
        let given = given.trim_ascii();
        let is_one = |secrets: &[Vec<u8>], given: &[u8]| {
            secrets.iter().fold(false, |found, secret| found | bool::from(secret.as_slice().ct_eq(given)))
        };
        if scheme.eq_ignore_ascii_case(b"Bearer") {
            return is_one(&self.tokens, given);
        }
        scheme.eq_ignore_ascii_case(b"Basic")
            && STANDARD.decode(given).is_ok_and(|given| is_one(&self.users, &given))
    }

    fn takes_path(&self, path: &str) -> bool {
        let takes = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == pattern,
        };
        self.paths.is_empty() || self.paths.iter().any(takes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(config: Config, method: &str, path: &str, authorization: Option<&str>) -> u16 {
        let head = Head {
            method: method.to_owned(),
            path: path.to_owned(),
            authorization: authorization.map(|text| text.as_bytes().to_vec()),
            ..Head::default()
        };
        Access::new(&config).check(&head).map_or_else(|answer| answer.status, |()| 200)
    }

    #[test]
    fn secrets_open() {
        let check = |authorization, expected| {
            let config = Config {
                users: [("joe".to_owned(), "pass:word".to_owned())].into(),
                tokens: vec!["secret".to_owned()],
                ..Config::default()
            };
            assert_eq!(status(config, "POST", "/", authorization), expected, "{authorization:?}");
        };
        check(Some("Bearer secret"), 200);
        check(Some("bearer  secret "), 200);
        check(Some("Basic am9lOnBhc3M6d29yZA=="), 200);
        for wrong in
            ["", "Bearer", "Bearer Secret", "Basic secret", "Basic am9lOnBhc3M=", "Basic %", "Digest secret"]
        {
            check(Some(wrong), 401);
        }
        check(None, 401);
    }

    #[test]
    fn methods_and_paths_are_those_of_the_config() {
        let check = |method: &str, path: &str, expected| {
            let paths = vec!["/logs".to_owned(), "/v1/*".to_owned()];
            assert_eq!(status(Config { paths, ..Config::default() }, method, path, None), expected, "{path}");
        };
        check("POST", "/logs", 200);
        check("PUT", "/v1/anything", 200);
        check("POST", "/v1", 404);
        check("POST", "/logs/", 404);
        check("GET", "/logs", 405);
        check("post", "/logs", 405);
        assert_eq!(status(Config::default(), "POST", "/any", None), 200);
    }
}
