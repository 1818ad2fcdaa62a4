//! Blocking calls run on a worker thread with a deadline; stuck threads are abandoned, replaced and counted.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::supervise::{Worker, WorkerError};
use support::until::until;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

fn system(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

/// A call that blocks until the sender is dropped.
fn stuck() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
    let (release, released) = mpsc::channel::<()>();
    (release, move || released.recv().unwrap_or_default())
}

#[test]
fn calls_run_in_order_on_one_named_thread() {
    system(async {
        let worker = Worker::new("disk", 3);
        let order = Arc::new(Mutex::new(Vec::new()));
        let calls: Vec<_> = (0..20)
            .map(|number| {
                let order = Arc::clone(&order);
                worker.call(LONG, move || {
                    order.lock().unwrap().push(number);
                    (thread::current().id(), thread::current().name().map(str::to_owned))
                })
            })
            .collect();
        let mut threads = Vec::new();
        for call in calls.into_iter().rev() {
            threads.push(call.await.unwrap());
        }
        threads.dedup();
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!((threads.len(), threads[0].1.as_deref()), (1, Some("disk")));
    });
}

#[test]
fn a_panicking_call_returns_an_error_and_the_thread_survives() {
    system(async {
        let worker = Worker::new("disk", 3);
        let before = worker.call(LONG, || thread::current().id()).await.unwrap();
        let error = worker.call(LONG, || -> () { panic!("bad page {}", 7) }).await.unwrap_err();
        assert_eq!(error.to_string(), "the call panicked: bad page 7");
        assert_eq!(worker.call(LONG, || thread::current().id()).await.unwrap(), before);
    });
}

#[test]
fn a_call_past_its_deadline_is_abandoned_and_the_thread_replaced() {
    system(async {
        let worker = Worker::new("disk", 3);
        let before = worker.call(LONG, || thread::current().id()).await.unwrap();
        let (release, call) = stuck();
        let start = Instant::now();
        let error = worker.call(SHORT, call).await.unwrap_err();
        assert!(matches!(error, WorkerError::TimedOut { after: SHORT }), "{error}");
        assert!(start.elapsed() >= SHORT);
        assert_eq!(worker.abandoned(), 1);
        assert_ne!(worker.call(LONG, || thread::current().id()).await.unwrap(), before);
        drop(release);
        until(LONG, || worker.abandoned() == 0).await;
    });
}

#[test]
fn at_most_three_threads_are_abandoned_until_one_returns() {
    system(async {
        let worker = Worker::new("disk", 3);
        let mut releases = Vec::new();
        for _ in 0..3 {
            let (release, call) = stuck();
            releases.push(release);
            assert!(matches!(worker.call(SHORT, call).await, Err(WorkerError::TimedOut { .. })));
        }
        let error = worker.call(LONG, || 1).await.unwrap_err();
        assert!(matches!(error, WorkerError::Exhausted { abandoned: 3 }), "{error}");
        releases.pop();
        until(LONG, || worker.abandoned() == 2).await;
        assert_eq!(worker.call(LONG, || 2).await.unwrap(), 2);
    });
}

#[test]
fn calls_queued_behind_a_stuck_one_run_on_a_new_thread() {
    system(async {
        let worker = Worker::new("disk", 3);
        let (_release, call) = stuck();
        let first = worker.call(SHORT, call);
        let second = worker.call(LONG, || 2);
        let (first, second) = tokio::join!(first, second);
        assert!(matches!(first, Err(WorkerError::TimedOut { .. })));
        assert_eq!(second.unwrap(), 2);
    });
}

#[test]
fn calls_queued_when_no_thread_is_left_fail_at_once() {
    system(async {
        let worker = Worker::new("disk", 1);
        let (_release, call) = stuck();
        let (first, second) = tokio::join!(worker.call(SHORT, call), worker.call(LONG * 10, || 2));
        assert!(matches!(first, Err(WorkerError::TimedOut { .. })));
        assert!(matches!(second, Err(WorkerError::Exhausted { abandoned: 1 })));
    });
}

#[test]
fn a_call_that_could_not_start_in_time_never_runs() {
    system(async {
        let worker = Worker::new("disk", 3);
        let (release, call) = stuck();
        let first = worker.call(LONG, call);
        let (mark_run, ran) = mpsc::channel();
        let error = worker.call(SHORT, move || mark_run.send(()).unwrap()).await.unwrap_err();
        assert!(matches!(error, WorkerError::Busy { after: SHORT }), "{error}");
        drop(release);
        first.await.unwrap();
        assert!(worker.call(LONG, move || ran.try_recv().is_err()).await.unwrap());
        assert_eq!(worker.abandoned(), 0);
    });
}

#[test]
fn a_stuck_call_of_a_dropped_caller_does_not_block_the_next() {
    system(async {
        let worker = Worker::new("disk", 3);
        let (started, has_started) = mpsc::channel();
        let (_release, call) = stuck();
        let dropped_call = worker.call(SHORT, move || {
            started.send(()).unwrap();
            call();
        });
        has_started.recv_timeout(LONG).unwrap();
        drop(dropped_call);
        // The next call replaces the stuck thread, at the latest when its own deadline has passed.
        assert!(matches!(worker.call(SHORT * 2, || ()).await, Ok(()) | Err(WorkerError::Busy { .. })));
        worker.call(LONG, || ()).await.unwrap();
        assert_eq!(worker.abandoned(), 1);
    });
}

#[test]
fn a_late_result_is_dropped_on_its_own_thread() {
    system(async {
        struct DropRecorder(mpsc::Sender<Option<String>>);
        impl Drop for DropRecorder {
            fn drop(&mut self) {
                let _ = self.0.send(thread::current().name().map(str::to_owned));
            }
        }

        let worker = Worker::new("disk", 3);
        let (release, call) = stuck();
        let (dropped, was_dropped) = mpsc::channel();
        let call = move || {
            call();
            DropRecorder(dropped)
        };
        assert!(worker.call(SHORT, call).await.is_err());
        drop(release);
        assert_eq!(was_dropped.recv_timeout(LONG).unwrap().as_deref(), Some("disk"));
    });
}

#[test]
fn a_dropped_worker_finishes_accepted_calls_and_ends_its_thread() {
    system(async {
        let worker = Worker::new("disk", 3);
        let (alive, ended) = mpsc::channel::<()>();
        let first = worker.call(LONG, || thread::sleep(SHORT));
        let second = worker.call(LONG, move || {
            // Dropped when the thread ends.
            ALIVE.with(|kept| *kept.borrow_mut() = Some(alive));
        });
        drop(worker);
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(ended.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    });
}

thread_local! {
    static ALIVE: std::cell::RefCell<Option<mpsc::Sender<()>>> = const { std::cell::RefCell::new(None) };
}
