//! The message matcher: a text such as `Type == "nginx.access" && Fields[status] >= 500`, compiled.
//!
//! # Grammar
//!
//! ```text
//! matcher  := any
//! any      := all ('||' all)*                       `&&` binds tighter than `||`
//! all      := unary ('&&' unary)*
//! unary    := '!' unary | '(' any ')' | TRUE | FALSE | test
//! test     := variable relation value
//!           | variable (== | !=) NIL                headers: empty; fields: missing
//!           | field (== | !=) (TRUE | FALSE)
//!           | text (=~ | !~) '/' regex '/'          `\/` is a slash inside of it
//!           | variable IN '(' value (',' value)* ')'
//! variable := Uuid Type Logger Payload EnvVersion Hostname   text
//!           | Timestamp Severity Pid                         numbers
//!           | Fields[name] | Fields[name][field] | Fields[name][field][element]   both from 0
//! relation := == != < <= > >=
//! value    := "text" | 'text' | -12 | 0.5 | 1e9      only the enclosing quote is escaped, by a backslash
//! ```
//!
//! White space, line ends included, separates and is otherwise ignored. Variables and keywords are
//! case-sensitive.
//!
//! # Meaning
//!
//! * Text compares byte by byte. `Uuid` compares as its canonical text, `""` when it is nil; the case of
//!   the literal does not matter. `Timestamp` is in nanoseconds since the epoch, or RFC 3339 in quotes.
//! * `NIL` is the empty text, the nil UUID, the timestamp 0, the pid 0; `Severity` always has a value.
//! * Numbers compare exactly, whatever is an integer and whatever a double: nothing is rounded on the way.
//!   A field that holds NaN fails every test but `!=`, as in IEEE 754.
//! * A missing field fails every test, `!=` and `!~` too, and passes `== NIL` only. A field of another type
//!   than the test's fails it in the same way: text against a number, a boolean against anything but `TRUE`
//!   and `FALSE`. Byte fields compare as text. `!(…)` is plain negation: it holds where the inside fails.
//! * Tests have no effects; they run in the order that is cheapest, not the one they were written in.

mod ast;
mod bytes_test;
mod condition;
mod error;
mod field_test;
mod key_table;
mod lexer;
mod matcher;
mod node;
mod number;
mod parser;
mod pattern;
mod program;
#[cfg(test)]
mod property_tests;
mod resolve;
mod set;
#[cfg(test)]
mod tests;
mod uuid_test;

pub use error::MatcherError;
pub use matcher::Matcher;
pub use set::MatcherSet;
