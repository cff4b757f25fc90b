//! The marks that mail and feedback leave on an invitation.

use std::convert::Infallible;

use domain::delivery::{self, Facts, Mark};
use domain::{Clock, Link};

use crate::{SettleError, Store};

impl Store {
    /// Leaves `mark` on the invitation whose mail carried `link`, and says whether that changed anything:
    /// marks of older mails do not, and none moves a delivery backwards.
    pub async fn mark(
        &self,
        link: &Link,
        mark: &Mark,
        clock: &dyn Clock,
    ) -> Result<bool, SettleError<Infallible>> {
        let read = async |_| {
            let invitation = self.invitation(&link.organization, &link.invitation).await?;
            Ok(Facts { invitation })
        };
        let decide = |facts: &Facts| Ok(delivery::decide(link, mark, facts, clock.now()));
        self.settle(read, decide).await
    }
}
