//! A pool of permits of which no tenant may have more than its share: a tenant at its bound waits,
//! and others pass it.
//!
//! - `per-tenant`: holders of one tenant, 1 unless it is given;
//! - `permits`: holders of all tenants together, as many as come unless it is given.
//!
//! The pool is one lock's name. The tenant is in the request's metadata, as `{"tenant": "blue"}`,
//! or else the authenticated user; a request with neither is refused. With `tenant = user` the
//! metadata does not count, so that nobody can say to be somebody else.
//! Within what the bounds allow the order is that of arrival.
//!
//! ```sh
//! portunus plugin deploy builtin:tenant-quota --lock-admission pool/ \
//!     --config per-tenant=2 --config permits=10
//! ```

use portunus_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    tenant: Option<String>,
}

/// None for a place that names none, which is never admitted.
fn tenant(place: &Place, by_user: bool) -> Result<Option<String>> {
    let named = match by_user {
        true => None,
        false => place.metadata_json::<Metadata>()?.and_then(|metadata| metadata.tenant),
    };
    Ok(named.or_else(|| place.user.clone()))
}

#[lock_admission]
fn tenant_quota(cx: &Context, lock: &Lock) -> Result<Admission> {
    let per_tenant = cx.config("per-tenant").unwrap_or(1);
    let permits = cx.config("permits").unwrap_or(usize::MAX);
    let by_user = cx.config::<String>("tenant").as_deref() == Some("user");
    let own = tenant(lock.place(), by_user)?;
    let own = own.or_refuse("no tenant: give metadata {\"tenant\": NAME} or log in")?;
    let of = |place: &Place| tenant(place, by_user).ok().flatten();
    let holders: Vec<Option<String>> = lock.holders().iter().map(of).collect();
    let has_room = |tenant: &String| {
        holders.iter().filter(|holder| holder.as_ref() == Some(tenant)).count() < per_tenant
    };
    if holders.len() >= permits || !has_room(&own) {
        return Ok(Wait);
    }
    // Somebody who came before and is not held up by a bound goes first.
    let goes_first = lock.ahead().iter().any(|place| of(place).is_some_and(|t| has_room(&t)));
    Ok(if goes_first { Wait } else { Admit })
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, LockCall, Plugin};

    use super::tenant_quota;

    fn deployed(configuration: &str) -> Cluster {
        let cluster = Cluster::new();
        let plugin = Plugin::new("tenant-quota").under("pool/").config(configuration);
        cluster.deploy(plugin.lock_admission(tenant_quota));
        cluster
    }

    fn ask(client: &Client, tenant: &str) -> LockCall {
        client.lock("pool/a").metadata(format!(r#"{{"tenant": "{tenant}"}}"#)).acquire()
    }

    #[test]
    fn a_tenant_at_its_bound_waits_and_others_pass_it() {
        let cluster = deployed("per-tenant = 2\npermits = 3");
        let client = cluster.anonymous();
        let red: Vec<LockCall> = (0..4).map(|_| ask(&client, "red")).collect();
        assert!(red[0].is_held() && red[1].is_held() && red[2].is_waiting());
        let blue = [ask(&client, "blue"), ask(&client, "blue")];
        assert!(blue[0].is_held(), "red's line is not blue's");
        assert!(blue[1].is_waiting(), "the pool has three");
        red[0].release();
        cluster.settle();
        assert!(red[2].is_held() && blue[1].is_waiting(), "red came first and has room");
        blue[0].release();
        cluster.settle();
        assert!(blue[1].is_held() && red[3].is_waiting());
    }

    #[test]
    fn a_tenant_with_a_long_line_does_not_starve_another() {
        let cluster = deployed("permits = 2");
        let client = cluster.anonymous();
        let red: Vec<LockCall> = (0..5).map(|_| ask(&client, "red")).collect();
        for _ in 0..3 {
            let blue = ask(&client, "blue");
            assert!(blue.is_held());
            blue.release();
        }
        red[0].expire();
        cluster.settle();
        assert!(red[1].is_held() && red[2].is_waiting());
    }

    #[test]
    fn the_user_is_the_tenant_unless_metadata_says_otherwise() {
        let cluster = deployed("");
        let alice = cluster.client("alice");
        let first = alice.lock("pool/a").acquire();
        assert!(first.is_held() && alice.lock("pool/a").acquire().is_waiting());
        assert!(ask(&alice, "blue").is_held());
        let refused = cluster.anonymous().lock("pool/a").acquire().token().expect_err("nobody");
        assert!(refused.to_string().contains("no tenant: give metadata"), "{refused}");
    }

    #[test]
    fn a_user_cannot_say_to_be_another() {
        let cluster = deployed("tenant = user");
        let alice = cluster.client("alice");
        assert!(ask(&alice, "red").is_held() && ask(&alice, "blue").is_waiting());
        assert!(ask(&cluster.client("bob"), "red").is_held());
    }
}
