//! Every form of an exposition: no bytes may make a parser panic, and what is read and written reads the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tripod_ingest::prometheus::exposition::{
    BatchSink, CustomBuckets, ExpositionWriter, Format, ParseOptions, Rules, TextForm, parse,
};

fuzz_target!(|body: &[u8]| {
    let options = ParseOptions::default();
    for (format, form) in
        [(Format::Text, Some(TextForm::Prometheus)), (Format::OpenMetrics, Some(TextForm::OpenMetrics)), (Format::Protobuf, None)]
    {
        let strict = ParseOptions { rules: Rules::Specification, ..options };
        let _ = parse(format, body, &strict, &mut BatchSink::new(0));
        let mut sink = CustomBuckets::new(BatchSink::new(0), true);
        if parse(format, body, &options, &mut sink).is_err() {
            continue;
        }
        let Some(form) = form else { continue };
        let mut writer = ExpositionWriter::new(form);
        parse(format, body, &options, &mut writer).expect("it was read before");
        let mut again = BatchSink::new(0);
        parse(format, writer.finish().as_bytes(), &options, &mut again).expect("what is written can be read");
        let mut first = BatchSink::new(0);
        parse(format, body, &options, &mut first).expect("it was read before");
        assert_eq!(first.take().labels, again.take().labels);
    }
});
