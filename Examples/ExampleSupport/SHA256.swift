/// The SHA-256 digest of bytes that arrive piece by piece (FIPS 180-4, section 6.2).
///
/// A value: a copy is a second digest that goes on from the same point. The state is 32 bytes and one block.
///
///     var digest = SHA256()
///     digest.update(Array("abc".utf8))
///     print(digest.hexadecimal.prefix(16))  // ba7816bf8f01cfea
///
/// Written so that a debug build is bearable too: the rounds work on raw pointers and plain integers only.
public struct SHA256: Sendable {
  private var a: UInt32 = 0x6a09_e667
  private var b: UInt32 = 0xbb67_ae85
  private var c: UInt32 = 0x3c6e_f372
  private var d: UInt32 = 0xa54f_f53a
  private var e: UInt32 = 0x510e_527f
  private var f: UInt32 = 0x9b05_688c
  private var g: UInt32 = 0x1f83_d9ab
  private var h: UInt32 = 0x5be0_cd19

  private var partial: [UInt8] = []
  private var count: UInt64 = 0

  /// Makes the digest of no bytes.
  public init() {}

  /// How many bytes the digest covers.
  public var byteCount: UInt64 { count }

  /// Appends bytes.
  ///
  /// - Complexity: O(number of bytes).
  public mutating func update(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// Appends bytes.
  ///
  /// - Parameter bytes: Read during the call only.
  /// - Complexity: O(number of bytes).
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    count &+= UInt64(bytes.count)
    var rest = unsafe bytes
    if !partial.isEmpty {
      let taken = unsafe rest.prefix(64 - partial.count)
      unsafe partial.append(contentsOf: taken)
      unsafe rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken.count))
      guard partial.count == 64 else { return }
      let block = partial
      unsafe block.withUnsafeBytes { unsafe compress($0) }
      partial.removeAll(keepingCapacity: true)
    }
    let whole = rest.count & ~63
    if whole > 0 { unsafe compress(UnsafeRawBufferPointer(rebasing: rest[..<whole])) }
    unsafe partial.append(contentsOf: rest[whole...])
  }

  /// The digest of what was appended so far: 32 bytes.
  ///
  /// More may be appended afterwards.
  public var bytes: [UInt8] {
    var last = self
    let bits = count &* 8
    let padding = (partial.count < 56 ? 56 : 120) - partial.count
    var tail = [UInt8](repeating: 0, count: padding + 8)
    tail[0] = 0x80
    for index in 0..<8 {
      tail[padding + index] = UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64(index)))
    }
    last.update(tail)
    return [last.a, last.b, last.c, last.d, last.e, last.f, last.g, last.h].flatMap { word in
      [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
  }

  /// The digest as 64 lower-case hexadecimal digits.
  public var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Whether a text is a SHA-256 digest: 64 hexadecimal digits, in either case.
  public static func isHexadecimal(_ text: some StringProtocol) -> Bool {
    text.utf8.count == 64
      && text.utf8.allSatisfy {
        UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
          || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0 | 0x20
      }
  }

  /// Runs the rounds over whole blocks.
  private mutating func compress(_ blocks: UnsafeRawBufferPointer) {
    guard let base = blocks.baseAddress else { return }
    unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
      unsafe Self.roundConstants.withUnsafeBufferPointer { constants in
        guard let w = schedule.baseAddress, let k = constants.baseAddress else { return }
        var block = unsafe base
        let end = unsafe base + blocks.count
        while unsafe block < end {
          unsafe compress(block, w, k)
          unsafe block += 64
        }
      }
    }
  }

  private mutating func compress(
    _ block: UnsafeRawPointer, _ w: UnsafeMutablePointer<UInt32>, _ k: UnsafePointer<UInt32>
  ) {
    var i = 0
    while i < 16 {
      unsafe w[i] = block.loadUnaligned(fromByteOffset: i &* 4, as: UInt32.self).bigEndian
      i &+= 1
    }
    while i < 64 {
      let x = unsafe w[i &- 15]
      let y = unsafe w[i &- 2]
      let s0 = (x &>> 7 | x &<< 25) ^ (x &>> 18 | x &<< 14) ^ (x &>> 3)
      let s1 = (y &>> 17 | y &<< 15) ^ (y &>> 19 | y &<< 13) ^ (y &>> 10)
      unsafe w[i] = w[i &- 16] &+ s0 &+ w[i &- 7] &+ s1
      i &+= 1
    }
    var (p, q, r, s) = (a, b, c, d)
    var (t, u, v, x) = (e, f, g, h)
    i = 0
    while i < 64 {
      let s1 = (t &>> 6 | t &<< 26) ^ (t &>> 11 | t &<< 21) ^ (t &>> 25 | t &<< 7)
      let choice = (t & u) ^ (~t & v)
      let first = unsafe x &+ s1 &+ choice &+ k[i] &+ w[i]
      let s0 = (p &>> 2 | p &<< 30) ^ (p &>> 13 | p &<< 19) ^ (p &>> 22 | p &<< 10)
      let second = s0 &+ ((p & q) ^ (p & r) ^ (q & r))
      x = v
      v = u
      u = t
      t = s &+ first
      s = r
      r = q
      q = p
      p = first &+ second
      i &+= 1
    }
    a = a &+ p
    b = b &+ q
    c = c &+ r
    d = d &+ s
    e = e &+ t
    f = f &+ u
    g = g &+ v
    h = h &+ x
  }

  /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
  private static let roundConstants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4,
    0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe,
    0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f,
    0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da, 0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7,
    0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc,
    0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
    0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070, 0x19a4_c116,
    0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7,
    0xc671_78f2,
  ]
}
