//! Owns: the services that the suite runs against, one function each.
//! Must never know: the laws.

use std::{collections::BTreeMap, sync::Arc};

use mingle_tests::{
    rest_server::{Options, Paging, RestServer},
    servers::{JsonServer, Kinto, PocketBase},
};
use mingled::remotes::settings::{Auth, Secret};
use serde_json::Value;

use crate::bench::{Bench, Other, as_it_is, login, settings};

/// Kinto.
pub fn kinto() -> Bench {
    struct Me(Arc<Kinto>, String);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put(&self.1, id, record);
        }
        fn delete(&self, id: &str) {
            self.0.delete(&self.1, id);
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.list(&self.1)
        }
    }
    let kinto = Kinto::shared();
    let resource = kinto.collection();
    let mut settings = settings("kinto", &kinto.url);
    settings.auth = login(Kinto::ACCOUNT);
    Bench {
        settings,
        wrong_resource: "buckets/main/collections/nowhere".into(),
        asks_for_credentials: true,
        tells_kinds_apart: true,
        fit: as_it_is,
        shows: &[],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(kinto, resource.clone())),
        resource,
    }
}

/// json-server.
pub fn json_server() -> Bench {
    struct Me(Arc<JsonServer>, String);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put(&self.1, id, record);
        }
        fn delete(&self, id: &str) {
            self.0.delete(&self.1, id);
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.list(&self.1)
        }
    }
    let server = JsonServer::shared();
    let resource = server.empty_list();
    Bench {
        settings: settings("json-server", &server.url),
        resource: resource.clone(),
        wrong_resource: "nowhere".into(),
        asks_for_credentials: false,
        tells_kinds_apart: false,
        fit: as_it_is,
        shows: &[],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, resource)),
    }
}

/// PocketBase, with fields that take any JSON.
pub fn pocketbase() -> Bench {
    struct Me(Arc<PocketBase>, String);
    impl Other for Me {
        fn id(&self, name: &str) -> String {
            // It takes ids of 15 characters and no others.
            format!("{name:0<15}")
        }
        fn put(&self, name: &str, record: &Value) {
            self.0.put(&self.1, &self.id(name), record);
        }
        fn delete(&self, name: &str) {
            self.0.delete(&self.1, &self.id(name));
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.list(&self.1)
        }
    }
    /// What is no field of the collection is dropped by it, and an empty text is null there.
    fn fit(mut record: Value) -> Value {
        record.as_object_mut().expect("an object").retain(|name, value| PocketBase::FIELDS.contains(&name.as_str()) && value != "");
        record
    }
    let server = PocketBase::shared();
    let resource = server.collection(&PocketBase::any_json());
    let mut settings = settings("pocketbase", &server.url);
    settings.auth = Auth::Bearer { token: Secret::Plain(server.token.clone()) };
    Bench {
        settings,
        resource: resource.clone(),
        wrong_resource: "nowhere".into(),
        asks_for_credentials: true,
        tells_kinds_apart: true,
        fit,
        shows: &[],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, resource)),
    }
}

fn scripted(mut options: Options) -> Bench {
    struct Me(RestServer);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put("things", id, record);
        }
        fn delete(&self, id: &str) {
            self.0.delete("things", id);
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.rows("things")
        }
    }
    options.bearer = Some("sesame".into());
    let server = RestServer::start(options, &["things"]);
    let folder = tempfile::tempdir().expect("a folder");
    server.write_profile(folder.path());
    let mut settings = settings(RestServer::PROFILE, &server.url);
    settings.auth = Auth::Bearer { token: Secret::Plain("sesame".into()) };
    Bench {
        settings,
        resource: "things".into(),
        wrong_resource: "nowhere".into(),
        asks_for_credentials: true,
        tells_kinds_apart: true,
        fit: as_it_is,
        shows: &[],
        folder,
        other: Box::new(Me(server)),
    }
}

/// The scripted service that can everything.
pub fn able() -> Bench {
    scripted(Options::default())
}

/// The one that can nothing.
pub fn careless() -> Bench {
    scripted(Options::careless())
}

/// The one that takes patches.
pub fn patching() -> Bench {
    scripted(Options { patches: true, ..Options::default() })
}

/// The one that says nothing after a write.
pub fn silent() -> Bench {
    scripted(Options { silent: true, ..Options::default() })
}

/// The one with stamps and without revisions.
pub fn stamped() -> Bench {
    scripted(Options { stamps: true, silent: true, ..Options::careless() })
}

/// The one whose next page stands in a `Link`.
pub fn linked() -> Bench {
    scripted(Options { paging: Paging::Link, page_rows_max: 2, ..Options::default() })
}

/// The one whose next page stands in a header of its own.
pub fn headed() -> Bench {
    scripted(Options { paging: Paging::Header, ..Options::default() })
}

/// The one whose next page stands in the body.
pub fn addressed() -> Bench {
    scripted(Options { paging: Paging::Address, ..Options::default() })
}

/// The one that counts pages.
pub fn numbered() -> Bench {
    scripted(Options { paging: Paging::Number, ..Options::careless() })
}

/// The one that counts rows, and gives fewer than it is asked for.
pub fn offset() -> Bench {
    scripted(Options { paging: Paging::Offset, page_rows_max: 2, ..Options::careless() })
}
