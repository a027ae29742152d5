//! Users, roles and what they may do: the same steps at a real etcd and here, every answer
//! compared; and a deployment with users that moves here and back.

mod asked;
pub mod moves;
mod script;

use asked::Side;
use portunus_tests::Member;
use script::script;

use crate::etcd::Etcd;

#[tokio::test(flavor = "multi_thread")]
async fn users_are_treated_as_by_etcd() {
    let Some(etcd) = Etcd::start(&[]).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let member = Member::single(dir.path(), &["--bcrypt-cost=4"]).unwrap();
    let mut theirs = Side::connect(&etcd.client_url).await;
    let mut ours = Side::connect(&member.client_url).await;
    let (mut compared, mut differences) = (0, Vec::new());
    for (number, step) in script().into_iter().enumerate() {
        if step.since > etcd.version {
            println!("not compared with {:?}: {step:?}", etcd.version);
            continue;
        }
        let (expected, found) = tokio::join!(theirs.run(&step), ours.run(&step));
        // Old etcds tell this one as it is inside, without a code.
        if etcd.version < (3, 6, 0) && expected.starts_with("refused Unknown") {
            continue;
        }
        compared += 1;
        if expected != found {
            differences
                .push(format!("{number}: {step:?}\n    etcd: {expected}\n    ours: {found}\n"));
        }
    }
    println!("{compared} answers compared with etcd {:?}", etcd.version);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.concat());
}
