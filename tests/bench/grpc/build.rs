//! Owns: the service of `main.rs`, as tonic makes it of a .proto file. Must never know: what it answers.

fn main() {
    let get = tonic_build::manual::Method::builder()
        .name("get")
        .route_name("Get")
        .input_type("crate::Asked")
        .output_type("crate::Record")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let records = tonic_build::manual::Service::builder().package("anchor").name("Records").method(get).build();
    tonic_build::manual::Builder::new().compile(&[records]);
}
