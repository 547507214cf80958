//! Which request gets which answer.

use super::answer::Answer;
use super::body::{self, InjectFault};
use super::http::{Head, NoRequest, Request};
use super::socket::{Socket, finish};
use super::token::is_authorized;
use heka_lib::config::Token;
use heka_lib::{Accounting, InstanceHealth, Router, RouterStats, State};
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

/// Reads the config again; says what changed, or why nothing did.
pub(crate) type Reload = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// Answers requests.
pub(super) struct Endpoint {
    pub(super) router: Arc<Router>,
    pub(super) reload: Reload,
    pub(super) started: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    Stats,
    Health,
    Reload,
    Reopen,
    Inject,
    Replay,
}

const QUESTIONS: [(&str, &str, Question); 6] = [
    ("GET", "/stats", Question::Stats),
    ("GET", "/health", Question::Health),
    ("POST", "/reload", Question::Reload),
    ("POST", "/reopen", Question::Reopen),
    ("POST", "/inject", Question::Inject),
    ("POST", "/replay", Question::Replay),
];

#[derive(Serialize)]
struct StatsAnswer<'a> {
    version: &'a str,
    pid: u32,
    uptime_seconds: f64,
    is_stopping: bool,
    #[serde(flatten)]
    stats: &'a RouterStats,
    accounting: Accounting,
}

#[derive(Serialize)]
struct HealthAnswer {
    status: &'static str,
    instances: Vec<InstanceHealth>,
}

#[derive(Serialize)]
struct Done<'a> {
    done: &'a str,
}

#[derive(Serialize)]
struct Injected {
    injected: u64,
}

#[derive(Serialize)]
struct InjectedInPart<'a> {
    error: &'a str,
    injected: u64,
}

impl Endpoint {
    /// Serves one connection; `token` is what its request must bring.
    pub(super) fn serve(&self, socket: &mut dyn Socket, token: Option<&Token>) {
        let answer = Request::read(socket).and_then(|request| self.answer(request, token));
        match answer {
            Ok(answer) | Err(NoRequest::Refused(answer)) => finish(socket, &answer.bytes()),
            Err(NoRequest::Gone) => {}
        }
    }

    fn answer(&self, request: Request<'_>, token: Option<&Token>) -> Result<Answer, NoRequest> {
        let authorization = request.head.authorization.as_deref();
        if token.is_some_and(|token| !is_authorized(authorization, token)) {
            let text = "send `Authorization: Bearer TOKEN`, with the token that [heka.admin] names";
            return Ok(Answer::refusal(401, text).with_header("WWW-Authenticate: Bearer"));
        }
        let question = question(&request.head).map_err(NoRequest::Refused)?;
        Ok(match question {
            Question::Stats => self.stats(),
            Question::Health => self.health(),
            Question::Reload => self.reload(),
            Question::Reopen => {
                self.router.reopen();
                Answer::json(202, &Done { done: "outputs are told to open their files anew" })
            }
            Question::Inject => self.inject(&request.body()?, Router::inject),
            Question::Replay => {
                let body = if request.head.has_body() { request.body()? } else { Vec::new() };
                if body.is_empty() { self.replay_dead_letters() } else { self.inject(&body, Router::replay) }
            }
        })
    }

    fn stats(&self) -> Answer {
        let stats = self.router.stats();
        let answer = StatsAnswer {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            is_stopping: self.router.is_stopping(),
            accounting: stats.accounting(),
            stats: &stats,
        };
        Answer::json(200, &answer)
    }

    fn health(&self) -> Answer {
        let instances = self.router.health();
        let all_ok = instances.iter().all(|instance| instance.state == State::Ok);
        let (code, status) = match (self.router.is_stopping(), all_ok) {
            (true, _) => (503, "stopping"),
            (false, true) => (200, "ok"),
            (false, false) => (503, "degraded"),
        };
        Answer::json(code, &HealthAnswer { status, instances })
    }

    fn reload(&self) -> Answer {
        match (self.reload)() {
            Ok(done) => Answer::json(200, &Done { done: &done }),
            Err(why) => Answer::refusal(409, &why),
        }
    }

    fn replay_dead_letters(&self) -> Answer {
        match self.router.replay_dead_letters() {
            Ok(injected) => Answer::json(200, &Injected { injected }),
            Err(error) => Answer::refusal(503, &error.to_string()),
        }
    }

    fn inject(&self, body: &[u8], put: body::Put) -> Answer {
        match body::inject(body, &self.router, put) {
            Ok(injected) => Answer::json(200, &Injected { injected }),
            Err(InjectFault { error, injected }) => {
                let status = if injected == 0 && !self.router.is_stopping() { 400 } else { 503 };
                Answer::json(status, &InjectedInPart { error: &error, injected })
            }
        }
    }
}

fn question(head: &Head) -> Result<Question, Answer> {
    let at_path = QUESTIONS.into_iter().find(|(_, path, _)| *path == head.path);
    match at_path {
        Some((method, _, question)) if method == head.method => Ok(question),
        Some((method, path, _)) => {
            let allow = if method == "GET" { "Allow: GET" } else { "Allow: POST" };
            Err(Answer::refusal(405, &format!("`{path}` is asked with {method}")).with_header(allow))
        }
        None => {
            let mut text = format!("nothing at `{}`; there are", head.path);
            for (index, (method, path, _)) in QUESTIONS.iter().enumerate() {
                // Writing into a string succeeds.
                let _ = write!(text, "{} {method} {path}", if index == 0 { "" } else { "," });
            }
            Err(Answer::refusal(404, &text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, expected: Result<Question, u16>) {
        let mut head = Head::default();
        (head.method, head.path) = (method.to_owned(), path.to_owned());
        assert_eq!(question(&head).map_err(|answer| answer.status), expected, "{method} {path}");
    }

    #[test]
    fn questions_have_a_path_and_a_method() {
        check("GET", "/stats", Ok(Question::Stats));
        check("POST", "/inject", Ok(Question::Inject));
        check("POST", "/stats", Err(405));
        check("GET", "/reload", Err(405));
        check("HEAD", "/health", Err(405));
        for path in ["/", "/stats/", "", "*", "/STATS"] {
            check("GET", path, Err(404));
        }
    }
}
