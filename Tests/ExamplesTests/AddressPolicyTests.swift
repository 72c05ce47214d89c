import Testing

@testable import ReliabilityExampleSupport

@Suite struct AddressPolicyTests {
  @Test(arguments: [
    "127.0.0.1", "127.255.1.2", "0.0.0.0", "0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "203.0.113.9",
    // The same places in other clothes.
    "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "3232235777",
    "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:192.168.0.1", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "2002:7f00:1::", "2002:c0a8:1::1", "fe80::1",
    "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "100::1",
  ])
  func reservedPlacesAreRefusedHoweverTheyAreWritten(host: String) {
    #expect(AddressBook.verdict(on: host, .publicOnly) == false)
    #expect(AddressBook.verdict(on: host, .any) == true)
  }

  @Test(arguments: [
    "1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "9.255.255.255",
    "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:0101:0101::1",
  ])
  func publicPlacesAreAllowed(host: String) {
    #expect(AddressBook.verdict(on: host, .publicOnly) == true)
  }

  @Test func aNameIsNotJudgedBeforeItIsLookedUp() async throws {
    #expect(AddressBook.verdict(on: "localhost", .publicOnly) == nil)
    await #expect(throws: AddressBook.Failure.refused(host: "localhost")) {
      try await AddressBook().check("localhost", .publicOnly)
    }
  }
}
