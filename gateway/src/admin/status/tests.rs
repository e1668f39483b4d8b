use super::*;

#[test]
fn a_door_open_to_all_is_reached_over_loopback() {
    let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
    assert_eq!(reached("0.0.0.0:5580"), "127.0.0.1:5580");
    assert_eq!(reached("[::]:5580"), "[::1]:5580");
    assert_eq!(reached("127.0.2.1:1"), "127.0.2.1:1");
}
