import ReliabilityCore
import Testing

@testable import ResourcePooling

@Suite struct WaiterLineTests {
  @Test(arguments: UInt64(0)..<4) func agreesWithAnArray(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var line = WaiterLine<Int>()
    var expected: [(ticket: WaiterLine<Int>.Ticket, number: Int)] = []
    var gone: [WaiterLine<Int>.Ticket] = []
    for number in 0..<20_000 {
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<5: expected.append((line.append(number), number))
      case 5..<8:
        let first = expected.isEmpty ? nil : expected.removeFirst()
        #expect(line.removeFirst() == first?.number, "seed \(seed)")
        if let first { gone.append(first.ticket) }
      case 8 where !expected.isEmpty:
        let place = expected.remove(at: Int.random(in: expected.indices, using: &generator))
        #expect(line.remove(place.ticket) == place.number, "seed \(seed)")
        gone.append(place.ticket)
      default:
        if let ticket = gone.randomElement(using: &generator) {
          #expect(line.remove(ticket) == nil, "seed \(seed)")
        }
      }
      #expect(line.count == expected.count && line.isEmpty == expected.isEmpty)
      if number % 5_000 == 4_999 {
        while let waiter = line.removeFirst() { #expect(waiter == expected.removeFirst().number) }
        #expect(expected.isEmpty)
      }
    }
  }
}
