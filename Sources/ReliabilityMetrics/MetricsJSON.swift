/// The JSON form: `{"metrics":[{"name","kind","help","samples":[{"labels":{},"value":1}]}]}`.
///
/// A histogram's sample has `count`, `sum` and `buckets`, each `{"le":0.1,"count":8}`, in place of `value`. Numbers that
/// JSON lacks are `null`.
enum MetricsJSON {
  static func render(_ families: [MetricsSnapshot.Family]) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("metrics")
    json.beginArray()
    for family in families {
      json.beginObject()
      json.member("name", family.name)
      json.member("kind", family.kind.rawValue)
      if !family.help.isEmpty { json.member("help", family.help) }
      json.key("samples")
      json.beginArray()
      for sample in family.samples { write(sample, to: &json) }
      json.endArray()
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return json.finish()
  }

  private static func write(_ sample: MetricSample, to json: inout JSONWriter) {
    json.beginObject()
    json.key("labels")
    json.beginObject()
    for label in sample.labels { json.member(label.name, label.value) }
    json.endObject()
    if let distribution = sample.distribution {
      json.member("count", distribution.count)
      json.member("sum", distribution.sum)
      json.key("buckets")
      json.beginArray()
      for bucket in distribution.buckets {
        json.beginObject()
        json.member("le", bucket.upperBound)
        json.member("count", bucket.count)
        json.endObject()
      }
      json.endArray()
    } else {
      json.member("value", sample.value)
    }
    json.endObject()
  }
}
