//! KMS: describes the laptop's `HMAC_256` keys, and generates and verifies MACs with them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::AwsError;

const ALGORITHM: &str = "HMAC_SHA_256";
const MESSAGE_BYTES_MAX: usize = 4096;
const ACCOUNT: &str = "000000000000";
const ARN_PREFIX: &str = "arn:aws:kms:us-east-1:000000000000:key/";

/// The KMS service with its keys.
pub struct Kms {
    keys: Vec<Key>,
}

/// A key and its secret. Deliberately without `Debug`, so that the secret is never logged.
struct Key {
    id: String,
    secret: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    key_id: String,
    mac_algorithm: String,
    message: String,
    mac: Option<String>,
}

impl Kms {
    /// Creates a service with these keys, each given as (id, secret).
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self { keys: keys.into_iter().map(|(id, secret)| Key { id, secret }).collect() }
    }

    /// Handles a `DescribeKey`, `GenerateMac` or `VerifyMac` request and returns the response body.
    pub fn handle(&self, operation: &str, body: &[u8]) -> Result<Value, AwsError> {
        match operation {
            "DescribeKey" => self.describe_key(body),
            "GenerateMac" => self.generate_mac(body),
            "VerifyMac" => self.verify_mac(body),
            _ => Err(AwsError::validation(format!("the laptop's KMS does not support {operation}"))),
        }
    }

    fn describe_key(&self, body: &[u8]) -> Result<Value, AwsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct DescribeKey {
            key_id: String,
        }
        let request: DescribeKey =
            serde_json::from_slice(body).map_err(|e| AwsError::validation(e.to_string()))?;
        let key = self.find_key(&request.key_id)?;
        Ok(json!({"KeyMetadata": {
            "AWSAccountId": ACCOUNT,
            "Arn": key.arn(),
            "CustomerMasterKeySpec": "HMAC_256",
            "Description": "The key of invitation links",
            "Enabled": true,
            "KeyId": key.id,
            "KeyManager": "CUSTOMER",
            "KeySpec": "HMAC_256",
            "KeyState": "Enabled",
            "KeyUsage": "GENERATE_VERIFY_MAC",
            "MacAlgorithms": [ALGORITHM],
            "MultiRegion": false,
            "Origin": "AWS_KMS",
        }}))
    }

    fn generate_mac(&self, body: &[u8]) -> Result<Value, AwsError> {
        let (request, key, mac) = self.start_mac(body)?;
        Ok(json!({
            "KeyId": key.arn(),
            "Mac": STANDARD.encode(mac.finalize().into_bytes()),
            "MacAlgorithm": request.mac_algorithm,
        }))
    }

    fn verify_mac(&self, body: &[u8]) -> Result<Value, AwsError> {
        let (request, key, mac) = self.start_mac(body)?;
        let claimed = request.mac.as_deref().ok_or_else(|| AwsError::validation("Mac is missing"))?;
        mac.verify_slice(&decode_blob("Mac", claimed)?).map_err(|_| {
            AwsError::new(StatusCode::BAD_REQUEST, "KMSInvalidMacException", "the MAC is not valid")
        })?;
        Ok(json!({"KeyId": key.arn(), "MacAlgorithm": request.mac_algorithm, "MacValid": true}))
    }

    /// Returns the parsed request, the key that it names, and the MAC over its message, not yet finalized.
    fn start_mac(&self, body: &[u8]) -> Result<(Request, &Key, Hmac<Sha256>), AwsError> {
        let request: Request =
            serde_json::from_slice(body).map_err(|e| AwsError::validation(e.to_string()))?;
        let key = self.find_key(&request.key_id)?;
        if request.mac_algorithm != ALGORITHM {
            let message = format!("{} is incompatible with key spec HMAC_256", request.mac_algorithm);
            return Err(AwsError::new(StatusCode::BAD_REQUEST, "InvalidKeyUsageException", message));
        }
        let message = decode_blob("Message", &request.message)?;
        if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
            return Err(AwsError::validation("Message must have 1 to 4096 bytes"));
        }
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key.secret).map_err(|e| AwsError::internal(e.to_string()))?;
        mac.update(&message);
        Ok((request, key, mac))
    }

    fn find_key(&self, id: &str) -> Result<&Key, AwsError> {
        self.keys.iter().find(|key| key.id == id || key.arn() == id).ok_or_else(|| {
            AwsError::new(StatusCode::BAD_REQUEST, "NotFoundException", format!("Key '{id}' does not exist"))
        })
    }
}

impl Key {
    /// Returns the key's ARN: the id itself if it is one already.
    fn arn(&self) -> String {
        if self.id.starts_with("arn:") { self.id.clone() } else { format!("{ARN_PREFIX}{}", self.id) }
    }
}

fn decode_blob(name: &str, text: &str) -> Result<Vec<u8>, AwsError> {
    STANDARD.decode(text).map_err(|e| AwsError::validation(format!("{name} is not base64: {e}")))
}
