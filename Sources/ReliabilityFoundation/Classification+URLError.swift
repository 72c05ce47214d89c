internal import ErrorContext
internal import ReliabilityCore

extension Classification {
  /// What a code of `NSURLErrorDomain` means, `nil` for a code nobody has documented.
  ///
  /// Source: the constants of `NSURLError.h`. They are written as numbers because `URLError.Code` belongs to
  /// FoundationNetworking, which this package does not load.
  init?(urlErrorCode code: Int) {
    switch code {
    case -999, -1012:  // cancelled, userCancelledAuthentication
      self = .cancelled
    case -1001:  // timedOut
      self.init(.timeout, .retryable())
    case -1003,  // cannotFindHost
      -1004,  // cannotConnectToHost
      -1005,  // networkConnectionLost
      -1006,  // dnsLookupFailed
      -1009,  // notConnectedToInternet
      -1018,  // internationalRoamingOff
      -1019,  // callIsActive
      -1020:  // dataNotAllowed
      self.init(.network, .retryable())
    case -1011,  // badServerResponse
      -1014,  // zeroByteResource
      -1008,  // resourceUnavailable
      -997,  // backgroundSessionWasDisconnected
      -996:  // backgroundSessionInUseByAnotherProcess
      self.init(.dependency, .retryable())
    case -1015, -1016, -1017:  // cannotDecodeRawData, cannotDecodeContentData, cannotParseResponse
      self.init(.dependency, .notRetryable)
    case -1000,  // badURL
      -1002,  // unsupportedURL
      -1007:  // httpTooManyRedirects
      self.init(.validation, .notRetryable, suggestedActions: ["Check the address."])
    case -1010,  // redirectToNonExistentLocation
      -1013,  // userAuthenticationRequired
      -1102,  // noPermissionsToReadFile
      -1103:  // dataLengthExceedsMaximum
      self.init(.validation, .notRetryable)
    case -1022:  // appTransportSecurityRequiresSecureConnection
      self.init(.network, .notRetryable, suggestedActions: ["Use an https address."])
    case -1206 ... -1200:  // secureConnectionFailed to clientCertificateRequired
      self.init(
        .network, .notRetryable, userMessage: "A secure connection could not be made.",
        suggestedActions: ["Check the date and time of this machine and the server's certificate."])
    case -1100, -1101:  // fileDoesNotExist, fileIsDirectory
      self.init(.fileSystem, .notRetryable)
    case -3007 ... -3000, -995, -2000, -1021:
      // cannotCreateFile to downloadDecodingFailedToComplete, backgroundSessionRequiresSharedContainer,
      // cannotLoadFromNetwork, requestBodyStreamExhausted
      self = Self.transferFailure(code)
    default:
      return nil
    }
  }

  /// What an error of URL loading without a code of its own means.
  ///
  /// URL loading on Linux has no code for a certificate that libcurl refuses (its result 60, `CURLE_PEER_FAILED_VERIFICATION`):
  /// only the text of the error tells. To try again does not help.
  init?(unknownURLError text: String) {
    let beginnings = [
      "SSL certificate problem", "SSL: no alternative certificate subject name",
      "SSL: certificate", "server certificate verification failed",
    ]
    guard beginnings.contains(where: text.hasPrefix) else { return nil }
    self.init(urlErrorCode: -1202)
  }

  private static func transferFailure(_ code: Int) -> Classification {
    switch code {
    case -2000, -1021: Classification(.network, .retryable())
    case -3006, -3007: Classification(.dependency, .notRetryable)
    case -995: Classification(.validation, .notRetryable)
    default: Classification(.fileSystem, .notRetryable)
    }
  }
}
