//! Owns: one function a method, for both drivers, and the operation ids of writes. Must never know: how a call travels.

use mingle_proto::{
    Call,
    call::{
        AppList, AppRegister, AppReset, Cancel, Changes, ConflictList, ConflictResolve, Delete, Explain, Forget, Get, Hello,
        History, List, Patch, PendingList, PendingRollback, PendingUpload, Plan, Put, Rebuild, RejectionList, RejectionResolve,
        Reload, RemoteAuthorize, RemoteAuthorized, RemoteBudget, RemoteCheck, RemoteList, RemoteLogin, RemoteLogout, Restart,
        RpcDiscover, SessionAccept, SessionBegin, SessionCancel, SessionCommit, SessionFinish, SessionJoin, SessionLost,
        SessionMingle, SessionPull, SessionPush, SessionRefuse, Shutdown, Status, Stop, Subscribe, SyncCancel, SyncDefine,
        SyncGet, SyncList, SyncNext, SyncPause, SyncPing, SyncRemove, SyncReset, SyncResume, SyncRun, Transact, Undo, Wait, Why,
        WorkerBatch, WorkerDone, WorkerOffer,
    },
};

/// A call, and the operation id that it carries if it is a write.
pub trait Ask: Call + Clone {
    /// The operation id, where there is one.
    fn op(&self) -> Option<&str> {
        None
    }

    /// Whether it may be made again when its answer was lost: not where it is about this very connection, or ends a daemon.
    fn may_repeat(&self) -> bool {
        true
    }

    /// Ties a write to the store that it was first sent to: another one refuses it.
    fn tie(&mut self, _instance: &str) {}

    /// Makes an operation id (a UUIDv7) where a write has none: then a repeat of the same call is safe.
    fn give_op(&mut self) {}
}

macro_rules! plain {
    ($($call:ident)+) => { $(impl Ask for $call {})+ };
}

/// Calls that are not made again.
macro_rules! once {
    ($($call:ident)+) => {
        $(impl Ask for $call {
            fn may_repeat(&self) -> bool {
                false
            }
        })+
    };
}

macro_rules! write {
    ($($call:ident)+) => {
        $(impl Ask for $call {
            fn op(&self) -> Option<&str> {
                self.op.as_deref()
            }

            fn give_op(&mut self) {
                self.op.get_or_insert_with(|| uuid::Uuid::now_v7().to_string());
            }

            fn tie(&mut self, instance: &str) {
                self.instance.get_or_insert_with(|| instance.to_owned());
            }
        })+
    };
}

plain! {
    Get List Changes Wait Status Stop Restart Reload RpcDiscover SyncRun SyncPause SyncResume SyncCancel SyncPing SyncReset Plan SyncGet SyncList SyncDefine SyncRemove Explain
    History ConflictList RejectionList PendingList PendingUpload Why RemoteList RemoteCheck RemoteBudget RemoteLogin RemoteLogout Rebuild AppRegister AppList AppReset SyncNext
}
once! {
    Hello Subscribe Cancel Shutdown SessionBegin SessionJoin SessionPush SessionLost SessionMingle SessionPull SessionAccept SessionRefuse
    SessionCommit SessionFinish SessionCancel RemoteAuthorize RemoteAuthorized WorkerOffer WorkerBatch WorkerDone
}
write! { Put Patch Delete Transact ConflictResolve RejectionResolve PendingRollback Forget Undo }

/// The functions of a driver. `hello` and `subscribe` are its own, and so is work.
macro_rules! functions {
    ($driver:ident) => {
        $crate::calls::functions! { @$driver
            get Get, "One record; `not_found` where there is none.";
            list List, "A page of the records of a collection.";
            put Put, "Writes a whole record.";
            patch Patch, "Changes properties of a record (RFC 7396).";
            delete Delete, "Deletes a record.";
            transact Transact, "Several writes, all or nothing.";
            changes Changes, "A page of what changed since a seq.";
            wait Wait, "Until the remotes have a write, or a run has ended, or syncs are synced, or the time of the call is over.";
            cancel Cancel, "Ends a call of this connection that is still in flight.";
            status Status, "The daemon, every sync, and what needs a person.";
            stop Stop, "Suspends all runs and refuses new ones; apps go on.";
            restart Restart, "Accepts runs again.";
            reload Reload, "Reads the configuration again and applies what changed.";
            rpc_discover RpcDiscover, "The OpenRPC document.";
            shutdown Shutdown, "Ends the daemon.";
            sync_run SyncRun, "Runs a sync as soon as it may.";
            sync_pause SyncPause, "Suspends one sync.";
            sync_resume SyncResume, "Lets a paused sync run again.";
            sync_cancel SyncCancel, "Ends the run of a sync for good.";
            sync_ping SyncPing, "Makes syncs due, because there is something new at their remote.";
            sync_next SyncNext, "Gives the next run of a sync a moment, whatever its schedule says.";
            sync_reset SyncReset, "Compares everything as if the remote had another history, after a copy of the store.";
            plan Plan, "What a run would send and change now; nothing is done.";
            rebuild Rebuild, "Fetches a collection anew; what is not sent yet stays.";
            sync_get SyncGet, "One sync as it is defined.";
            sync_list SyncList, "The syncs that are defined.";
            sync_define SyncDefine, "Defines a sync, beside those of the configuration.";
            sync_remove SyncRemove, "Takes out a sync that an app has defined; what it brought stays.";
            explain Explain, "Every reason why a sync does not run now.";
            history History, "A page of past runs, the latest first.";
            conflict_list ConflictList, "A page of conflicts.";
            conflict_resolve ConflictResolve, "Decides a conflict.";
            rejection_list RejectionList, "A page of the records that a sync could not settle.";
            rejection_resolve RejectionResolve, "Decides what becomes of a rejection.";
            pending_list PendingList, "A page of what syncs have yet to send.";
            pending_upload PendingUpload, "Marks what was deferred for upload.";
            pending_rollback PendingRollback, "Takes back a page of what was not sent.";
            forget Forget, "Drops a record here; what remotes have of it stays.";
            why Why, "Where a value comes from: since when, whose, by which rule, what lost.";
            undo Undo, "Takes a page of changes back, or says what that would do.";
            session_begin SessionBegin, "Begins a session of an app that keeps its own copy.";
            session_join SessionJoin, "Takes part in the session of an invitation, or waits for those who were invited.";
            session_push SessionPush, "What the app changed in its copy.";
            session_lost SessionLost, "The app has lost a record of its copy.";
            session_mingle SessionMingle, "What was pushed meets the truth.";
            session_pull SessionPull, "A page of what the app lacks.";
            session_accept SessionAccept, "The app has stored records that it was shown.";
            session_refuse SessionRefuse, "The app does not want records as they were shown.";
            session_commit SessionCommit, "What was accepted and refused holds from now on.";
            session_finish SessionFinish, "Ends a session, with what is open.";
            session_cancel SessionCancel, "Ends a session, without what is open.";
            app_register AppRegister, "The app says what it keeps a copy of.";
            app_list AppList, "A page of the apps, what each may do and keeps a copy of.";
            app_reset AppReset, "Forgets the copy of an app; what it brought stays.";
            remote_list RemoteList, "The remotes and what each can do.";
            remote_check RemoteCheck, "Asks a remote whether it answers and takes the credentials.";
            remote_budget RemoteBudget, "What each account may ask of its service, and who used it.";
            remote_login RemoteLogin, "Keeps the secret of a remote where the configuration has it.";
            remote_authorize RemoteAuthorize, "Begins a login that a person ends with a browser.";
            remote_authorized RemoteAuthorized, "What came of such a login, once it has ended.";
            remote_logout RemoteLogout, "Takes the secret of a remote out of there.";
        }
    };
    (@blocking $($name:ident $call:ident, $about:literal;)+) => {
        $(
            #[doc = $about]
            ///
            /// # Errors
            /// [`CallError`](crate::CallError): refused, lost, or unreadable.
            pub fn $name(
                &mut self,
                call: mingle_proto::call::$call,
            ) -> Result<<mingle_proto::call::$call as mingle_proto::Call>::Answer, crate::CallError> {
                self.call(call)
            }
        )+
    };
    (@nonblocking $($name:ident $call:ident, $about:literal;)+) => {
        $(
            #[doc = $about]
            ///
            /// # Errors
            /// [`CallError`](crate::CallError): refused, lost, or unreadable.
            pub async fn $name(
                &self,
                call: mingle_proto::call::$call,
            ) -> Result<<mingle_proto::call::$call as mingle_proto::Call>::Answer, crate::CallError> {
                self.call(call).await
            }
        )+
    };
}

pub(crate) use functions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_gets_an_op_once() {
        let mut put = Put::default();
        put.give_op();
        let first = put.op.clone().expect("made");
        assert!(first.len() <= mingle_proto::limits::OP_BYTES_MAX);
        put.give_op();
        assert_eq!(put.op(), Some(first.as_str()));
        let mut get = Get::default();
        get.give_op();
        assert_eq!(get.op(), None);
    }
}
