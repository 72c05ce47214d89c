/// A strict reader of both text formats, written from their grammars: whatever a collector may refuse, it refuses.
///
/// Source: Prometheus, "Exposition formats" (0.0.4); OpenMetrics 1.0, "ABNF" and "Overall structure".
struct PrometheusParser {
  struct Refusal: Error, CustomStringConvertible {
    var line: Int
    var reason: String
    var description: String { "line \(line): \(reason)" }
  }

  private struct Fault: Error {
    var reason: String
    init(_ reason: String) { self.reason = reason }
  }

  struct Sample: Equatable {
    var name: String
    var labels: [String: String]
    var value: Double
  }

  struct Family {
    var kind: String
    var help: String?
    var samples: [Sample] = []
  }

  private(set) var families: [String: Family] = [:]
  private var current: String?
  private var seen: Set<String> = []
  private let isOpenMetrics: Bool

  init(_ text: String, isOpenMetrics: Bool) throws {
    self.isOpenMetrics = isOpenMetrics
    if text.isEmpty && !isOpenMetrics { return }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.removeLast().isEmpty else {
      throw Refusal(line: lines.count, reason: "the last line does not end")
    }
    if isOpenMetrics {
      guard lines.popLast() == "# EOF" else {
        throw Refusal(line: lines.count, reason: "no # EOF")
      }
    }
    for (index, line) in lines.enumerated() {
      do { try read(line) } catch let fault as Fault {
        throw Refusal(line: index + 1, reason: "\(fault.reason): \(line)")
      }
    }
    for (name, family) in families where family.kind == "histogram" {
      do { try checkHistogram(name, family) } catch let fault as Fault {
        throw Refusal(line: 0, reason: "\(name): \(fault.reason)")
      }
    }
  }

  private mutating func read(_ line: Substring) throws {
    if line.hasPrefix("# ") {
      let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
      guard parts.count == 4 else { throw Fault("a comment that says nothing") }
      let name = try Self.identifier(String(parts[2]), colon: true)
      if parts[1] == "HELP" {
        guard families[name] == nil else { throw Fault("HELP in the wrong place") }
        families[name] = Family(kind: "", help: try Self.unescaped(parts[3], quotes: isOpenMetrics))
        current = name
      } else if parts[1] == "TYPE" {
        guard ["counter", "gauge", "histogram"].contains(parts[3]) else {
          throw Fault("unknown type")
        }
        if var family = families[name] {
          guard current == name, family.kind.isEmpty, family.samples.isEmpty else {
            throw Fault("TYPE in the wrong place")
          }
          family.kind = String(parts[3])
          families[name] = family
        } else {
          families[name] = Family(kind: String(parts[3]))
        }
        current = name
      } else {
        throw Fault("an unknown comment")
      }
      return
    }
    guard let current, let family = families[current], !family.kind.isEmpty else {
      throw Fault("a sample without a TYPE")
    }
    let sample = try Self.sample(line)
    let allowed: [String] =
      switch family.kind {
      case "histogram": [current + "_bucket", current + "_sum", current + "_count"]
      case "counter" where isOpenMetrics: [current + "_total"]
      default: [current]
      }
    guard allowed.contains(sample.name) else { throw Fault("a sample of another family") }
    guard
      (sample.labels["le"] != nil) == sample.name.hasSuffix("_bucket") || family.kind != "histogram"
    else { throw Fault("le where it does not belong") }
    let series = "\(sample.name)\(sample.labels.sorted { $0.key < $1.key })"
    guard seen.insert(series).inserted else { throw Fault("a duplicate series") }
    families[current]?.samples.append(sample)
  }

  private func checkHistogram(_ name: String, _ family: Family) throws {
    let groups = Dictionary(grouping: family.samples) { sample in
      sample.labels.filter { $0.key != "le" }.sorted { $0.key < $1.key }.description
    }
    for group in groups.values {
      let buckets = group.filter { $0.name == name + "_bucket" }
      let bounds = buckets.compactMap { $0.labels["le"].flatMap(Double.init) }
      guard bounds.count == buckets.count, bounds == bounds.sorted(), bounds.last == .infinity
      else { throw Fault("the bounds are not in order or do not end in +Inf") }
      let counts = buckets.map(\.value)
      guard counts == counts.sorted() else { throw Fault("the buckets fall") }
      guard group.first(where: { $0.name == name + "_count" })?.value == counts.last else {
        throw Fault("the count is not that of the last bucket")
      }
      guard group.contains(where: { $0.name == name + "_sum" }) else { throw Fault("no sum") }
    }
  }

  private static func sample(_ line: Substring) throws -> Sample {
    var rest = line
    let name = try identifier(String(rest.prefix { $0 != "{" && $0 != " " }), colon: true)
    rest = rest.dropFirst(name.count)
    var labels: [String: String] = [:]
    if rest.first == "{" {
      rest = rest.dropFirst()
      while rest.first != "}" {
        let label = try identifier(String(rest.prefix { $0 != "=" }), colon: false)
        rest = rest.dropFirst(label.count)
        guard rest.hasPrefix("=\"") else { throw Fault("a label without a value") }
        rest = rest.dropFirst(2)
        var value = ""
        while let character = rest.unicodeScalars.first, character != "\"" {
          rest = Substring(rest.unicodeScalars.dropFirst())
          if character == "\\" {
            guard let escape = rest.unicodeScalars.first else { throw Fault("an open escape") }
            rest = Substring(rest.unicodeScalars.dropFirst())
            switch escape {
            case "n": value += "\n"
            case "\\", "\"": value.unicodeScalars.append(escape)
            default: throw Fault("an unknown escape")
            }
          } else {
            value.unicodeScalars.append(character)
          }
        }
        guard rest.first == "\"" else { throw Fault("an open label value") }
        rest = rest.dropFirst()
        guard labels.updateValue(value, forKey: label) == nil else { throw Fault("a label twice") }
        if rest.first == "," {
          rest = rest.dropFirst()
        } else if rest.first != "}" {
          throw Fault("no comma between labels")
        }
      }
      rest = rest.dropFirst()
    }
    guard rest.first == " " else { throw Fault("no space before the value") }
    let number = String(rest.dropFirst())
    let value: Double? =
      switch number {
      case "NaN": .nan
      case "+Inf": .infinity
      case "-Inf": -.infinity
      default: number.allSatisfy { $0.isNumber || "+-.e".contains($0) } ? Double(number) : nil
      }
    guard let value else { throw Fault("not a number") }
    return Sample(name: name, labels: labels, value: value)
  }

  private static func identifier(_ text: String, colon: Bool) throws -> String {
    guard let first = text.unicodeScalars.first, !("0"..."9").contains(first),
      text.unicodeScalars.allSatisfy({
        $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_")
          || colon && $0 == ":"
      })
    else { throw Fault("a bad name \(text)") }
    return text
  }

  private static func unescaped(_ text: Substring, quotes: Bool) throws -> String {
    var result = ""
    var scalars = text.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "\\" else {
        if scalar == "\"" && quotes { throw Fault("a bare quote") }
        result.unicodeScalars.append(scalar)
        continue
      }
      switch scalars.next() {
      case "n": result += "\n"
      case "\\": result += "\\"
      case "\"" where quotes: result += "\""
      default: throw Fault("an unknown escape")
      }
    }
    return result
  }
}
