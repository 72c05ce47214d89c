internal import CReliability

/// Facts about the machine.
enum Machine {
  static let memoryBytes = max(1, creliability_memory_bytes())

  static func percent(ofMemory bytes: Int64) -> Double {
    Double(bytes) / Double(memoryBytes) * 100
  }
}
