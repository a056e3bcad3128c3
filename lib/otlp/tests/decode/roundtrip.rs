//! Whatever `prost` can write, both decoders read to the same model.

use proptest::prelude::*;
use prost::Message;
use tripod_otlp::Limits;

use crate::collect::{Calls, Signal, read_json, read_protobuf};
use crate::render::form;
use crate::{expected, messages};

macro_rules! same_model {
    ($signal:ident, $messages:ident, $walk:ident) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(200))]

            #[test]
            fn $messages(request in messages::$messages(), form in form()) {
                let mut expected = Calls::default();
                expected::$walk(&request, &mut expected);
                let limits = Limits::default();
                let from_protobuf = read_protobuf(Signal::$signal, &request.encode_to_vec(), &limits);
                prop_assert_eq!(from_protobuf.as_ref(), Ok(&expected));
                let text = form.$messages(&request);
                let from_json = read_json(Signal::$signal, text.as_bytes(), &limits);
                prop_assert_eq!(from_json.as_ref(), Ok(&expected), "{}", text);
            }
        }
    };
}

same_model!(Traces, traces, walk_traces);
same_model!(Logs, logs, walk_logs);
same_model!(Metrics, metrics, walk_metrics);
