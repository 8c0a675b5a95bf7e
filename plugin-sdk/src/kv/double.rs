//! The state of a plugin in its own tests: as the host keeps it, with time that the test moves.
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::kv::KvError;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

#[derive(Default)]
struct State {
    now_ms: u64,
    values: HashMap<String, Value>,
}

struct Value {
    data: Data,
    expires_ms: Option<u64>,
}

enum Data {
    Number(i64),
    Bytes(Vec<u8>),
}

impl State {
    fn value(&mut self, key: &str) -> Option<&mut Value> {
        let now_ms = self.now_ms;
        self.values
            .get_mut(key)
            .filter(|value| value.expires_ms.is_none_or(|expires| expires > now_ms))
    }

    fn expires(&self, ttl_ms: Option<u64>) -> Option<u64> {
        ttl_ms.map(|ttl| self.now_ms.saturating_add(ttl))
    }
}

/// Moves the time by which this thread's keys expire.
pub fn pass_time(time: Duration) {
    let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    STATE.with_borrow_mut(|state| state.now_ms = state.now_ms.saturating_add(time));
}

pub(crate) fn kv_get(key: &str) -> Option<Vec<u8>> {
    STATE.with_borrow_mut(|state| {
        state.value(key).map(|value| match &value.data {
            Data::Number(number) => number.to_string().into_bytes(),
            Data::Bytes(bytes) => bytes.clone(),
        })
    })
}

pub(crate) fn kv_set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), KvError> {
    check(key)?;
    if value.len() > 16 << 10 {
        return Err(KvError::TooLarge);
    }
    STATE.with_borrow_mut(|state| {
        let value = Value { data: Data::Bytes(value.to_vec()), expires_ms: state.expires(ttl_ms) };
        state.values.insert(key.to_owned(), value);
    });
    Ok(())
}

pub(crate) fn kv_delete(key: &str) -> Result<(), KvError> {
    check(key)?;
    STATE.with_borrow_mut(|state| state.values.remove(key));
    Ok(())
}

pub(crate) fn kv_increment(key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, KvError> {
    check(key)?;
    STATE.with_borrow_mut(|state| {
        if let Some(value) = state.value(key) {
            let Data::Number(number) = &mut value.data else { return Err(KvError::NoNumber) };
            *number = number.checked_add(by).ok_or(KvError::NoNumber)?;
            return Ok(*number);
        }
        let value = Value { data: Data::Number(by), expires_ms: state.expires(ttl_ms) };
        state.values.insert(key.to_owned(), value);
        Ok(by)
    })
}

fn check(key: &str) -> Result<(), KvError> {
    if key.is_empty() || key.len() > 256 { Err(KvError::BadKey) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv;

    #[test]
    fn it_behaves_as_the_host_does() {
        assert_eq!(kv::get("a"), None);
        kv::set("a", "one", Some(Duration::from_secs(1))).unwrap();
        assert_eq!(kv::get("a").as_deref(), Some(&b"one"[..]));
        assert_eq!(kv::increment("a", 1, None), Err(KvError::NoNumber));
        pass_time(Duration::from_secs(1));
        assert_eq!(kv::get("a"), None);
        let minute = Some(Duration::from_secs(60));
        assert_eq!(kv::increment("n", 2, minute), Ok(2));
        pass_time(Duration::from_secs(59));
        assert_eq!(kv::increment("n", 3, minute), Ok(5));
        assert_eq!(kv::get("n").as_deref(), Some(&b"5"[..]));
        pass_time(Duration::from_secs(1));
        assert_eq!(kv::increment("n", 1, minute), Ok(1), "later calls do not prolong it");
        kv::delete("n").unwrap();
        assert_eq!(kv::get("n"), None);
        assert_eq!(kv::set("", "x", None), Err(KvError::BadKey));
        assert_eq!(kv::set("x", vec![0; (16 << 10) + 1], None), Err(KvError::TooLarge));
        assert_eq!(kv::increment("m", i64::MAX, None), Ok(i64::MAX));
        assert_eq!(kv::increment("m", 1, None), Err(KvError::NoNumber));
    }
}
