//! Client request tokens, with which a service recognizes a repeated request.

/// The system provides no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system provides no random bytes")]
pub struct TokenError(#[source] getrandom::Error);

/// Makes a client request token from the randomness of the operating system: 32 hexadecimal digits.
///
/// The SDK also makes tokens, but with a generator whose seed is the time. Those can be guessed, and they can repeat in
/// processes that start from the same snapshot.
pub fn client_request_token() -> Result<String, TokenError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(TokenError)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tokens_have_32_digits_and_never_repeat() {
        let tokens: BTreeSet<_> = (0..1_000).map(|_| client_request_token().unwrap()).collect();
        assert_eq!(tokens.len(), 1_000);
        for token in tokens {
            assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
        }
    }
}
