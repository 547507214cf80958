use super::*;

fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
    texts.iter().map(|text| Endpoint::try_from((*text).to_owned()).unwrap()).collect()
}

fn go_to(wire: &mut Wire, bind: &[&str], connect: &[&str]) -> Result<Vec<String>, PluginError> {
    let (bind, connect) = (endpoints(bind), endpoints(connect));
    wire.go_to(&places(&bind, &connect))?;
    Ok(wire.bound().map(str::to_owned).collect())
}

#[test]
fn endpoints_that_stay_are_not_touched() {
    let mut wire = Wire::open(zmq::PULL).unwrap();
    let free = "tcp://127.0.0.1:*";
    let first = go_to(&mut wire, &[free], &[]).unwrap();
    assert_eq!(first.len(), 1);
    let second = go_to(&mut wire, &[free, "tcp://127.0.0.1:0"], &["tcp://127.0.0.1:9"]).unwrap();
    assert_eq!((second.len(), &second[0]), (2, &first[0]));
    assert_eq!(go_to(&mut wire, &["tcp://127.0.0.1:0"], &[]).unwrap(), second[1..]);
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let mut other = Wire::open(zmq::PULL).unwrap();
    let taken = go_to(&mut other, &["tcp://127.0.0.1:*"], &[]).unwrap().remove(0);
    let mut wire = Wire::open(zmq::PULL).unwrap();
    let before = go_to(&mut wire, &["tcp://127.0.0.1:*"], &[]).unwrap();
    let refused = go_to(&mut wire, &["tcp://127.0.0.1:0", &taken], &[]).unwrap_err();
    assert_eq!(refused, PluginError::retry(format!("failed to bind to `{taken}`: address already in use")));
    assert_eq!(wire.bound().collect::<Vec<_>>(), before);
}

#[test]
fn what_can_never_be_bound_is_a_fault_of_the_config() {
    let mut wire = Wire::open(zmq::PULL).unwrap();
    let endpoint = "ipc:///nowhere/heka.sock";
    let refused = go_to(&mut wire, &[endpoint], &[]).unwrap_err();
    let why = format!("failed to bind to `{endpoint}`: no such file or directory");
    assert_eq!(refused, PluginError::config(why));
}
