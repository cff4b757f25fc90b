//! The marks that mail and feedback leave on an invitation.

use std::convert::Infallible;

use domain::delivery::{self, Facts, Mailed, Mark};
use domain::{Clock, Day, Link, Pending, Policy, Recipient};

use crate::{SettleError, Store};

impl Store {
    /// Counts the mail that is owed to its recipient's day, and says whether there was room for it.
    pub async fn admit(
        &self,
        owed: Pending<'_>,
        policy: &Policy,
        clock: &dyn Clock,
    ) -> Result<bool, SettleError<Infallible>> {
        let now = clock.now();
        let recipient = Recipient::of(&owed.invitation().email);
        let read = async |before: Option<Mailed>| match before {
            None => Ok(Mailed::Trusted),
            Some(_) => Ok(Mailed::Read(self.recipient_day(&recipient, Day::of(now)).await?)),
        };
        self.settle(read, |mailed| Ok(delivery::admit(owed, mailed, policy, now))).await
    }

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
