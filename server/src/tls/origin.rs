//! Whether a client's certificate covers the address that it calls from. etcd asks for it of every
//! certificate that names addresses or hosts.

use std::net::IpAddr;

use super::certificate::Facts;

/// Whether the holder of `facts` may call from `address`; a reason if not. Looks names up, so it may
/// take as long as the resolver does.
pub async fn check(facts: &Facts, address: IpAddr) -> Result<(), String> {
    let (addresses, names) = (&facts.addresses, &facts.dns_names);
    if addresses.is_empty() && names.is_empty() {
        return Ok(());
    }
    let address = address.to_canonical();
    if addresses.contains(&address) {
        return Ok(());
    }
    if names.is_empty() {
        let valid: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let valid = valid.join(", ");
        return Err(format!("x509: certificate is valid for {valid}, not {address}"));
    }
    if is_named(address, names).await {
        return Ok(());
    }
    let list: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    let list = list.join(" ");
    Err(format!("tls: \"{address}\" does not match any of DNSNames [{list}]"))
}

async fn is_named(address: IpAddr, names: &[String]) -> bool {
    for name in names.iter().filter(|name| !name.starts_with("*.")) {
        let found = tokio::net::lookup_host((name.as_str(), 0)).await;
        if found.is_ok_and(|mut found| found.any(|found| found.ip().to_canonical() == address)) {
            return true;
        }
    }
    let reverse = tokio::task::spawn_blocking(move || dns_lookup::lookup_addr(&address));
    let Ok(Ok(host)) = reverse.await else { return false };
    let host = host.trim_end_matches('.');
    names.iter().any(|name| match name.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => host == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(addresses: &[&str], names: &[&str]) -> Facts {
        Facts {
            addresses: addresses.iter().map(|address| address.parse().expect("valid")).collect(),
            dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Facts::default()
        }
    }

    #[tokio::test]
    async fn the_address_must_be_covered_where_any_is_named() {
        let from = |text: &str| text.parse::<IpAddr>().expect("valid");
        let here = from("127.0.0.1");
        assert_eq!(check(&facts(&[], &[]), here).await, Ok(()));
        assert_eq!(check(&facts(&["127.0.0.1"], &[]), here).await, Ok(()));
        assert_eq!(check(&facts(&["127.0.0.1"], &[]), from("::ffff:127.0.0.1")).await, Ok(()));
        assert_eq!(check(&facts(&["10.0.0.1"], &["localhost"]), here).await, Ok(()));
        let reason = "x509: certificate is valid for 10.0.0.1, ::1, not 127.0.0.1";
        assert_eq!(check(&facts(&["10.0.0.1", "::1"], &[]), here).await, Err(reason.to_owned()));
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_does_not_cover_the_address() {
        let names = facts(&[], &["a.invalid", "*.b.invalid"]);
        let from = "127.0.0.77".parse().expect("valid");
        let reason =
            "tls: \"127.0.0.77\" does not match any of DNSNames [\"a.invalid\" \"*.b.invalid\"]";
        assert_eq!(check(&names, from).await, Err(reason.to_owned()));
    }
}
