//! Tokens.

use super::*;

#[test]
fn a_token_names_one_connection_in_one_slot_or_one_listener() {
    for (key, serial) in [(0, 0), (1, 2), (65_535, SERIAL_MASK), (19_999, 1)] {
        let token = token((key, serial));
        assert_eq!(split_token(token), (key, serial));
        assert_eq!(listener_index(token), None);
        assert_ne!(token, SIGNALS);
    }
    for index in [0, 1, 99] {
        assert_eq!(listener_index(listener_token(index)), Some(index));
        assert_ne!(listener_token(index), SIGNALS);
    }
}
