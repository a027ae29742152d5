//! A future that is carried to its end even if its caller goes away. It costs a task only then;
//! until then it runs where it is awaited.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs on, on the runtime, when it is dropped before its end.
pub struct Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// `None` once it has ended.
    future: Option<Pin<Box<F>>>,
    runtime: Handle,
}

impl<F> Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    pub fn new(runtime: &Handle, future: F) -> Self {
        Self { future: Some(Box::pin(future)), runtime: runtime.clone() }
    }
}

impl<F> Future for Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.future.as_mut().expect("it is not polled after its end");
        let output = std::task::ready!(future.as_mut().poll(cx));
        self.future = None;
        Poll::Ready(output)
    }
}

impl<F> Drop for Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.runtime.spawn(async move { drop(future.await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_answers_whoever_waits_for_it() {
        let finishing = Finishing::new(&Handle::current(), async { 7 });
        assert_eq!(finishing.await, 7);
    }

    #[tokio::test]
    async fn it_goes_on_without_its_caller() {
        let (go, gone) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let finishing = Finishing::new(&Handle::current(), async move {
            gone.await.expect("somebody says so");
            end.send(()).expect("somebody listens");
        });
        // Begun, and left in the middle.
        tokio::select! {
            biased;
            () = finishing => panic!("it waits"),
            () = std::future::ready(()) => {}
        }
        go.send(()).expect("it is still there");
        ended.await.expect("it came to its end");
    }
}
