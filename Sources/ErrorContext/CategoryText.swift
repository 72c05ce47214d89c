/// What a report says of a category when the error itself has nothing to say.
struct CategoryText {
  var title: String
  var userMessage: String
  var suggestedActions: [String]

  init(_ category: ErrorCategory) {
    switch category {
    case .validation:
      self.init(
        "Invalid input", "The request contains something that is not valid.",
        ["Check the input and correct it."])
    case .network:
      self.init(
        "Network problem", "The connection failed.",
        ["Check the network connection.", "Try again later."])
    case .fileSystem:
      self.init(
        "File system problem", "A file could not be read or written.",
        ["Check the free space and the permissions of the folder."])
    case .database:
      self.init("Database problem", "The data could not be read or saved.", ["Try again later."])
    case .timeout:
      self.init(
        "Time limit reached", "It took too long and was stopped.",
        ["Try again later.", "Allow more time."])
    case .memoryExhaustion:
      self.init(
        "Out of memory", "There was not enough memory.",
        ["Close other programs, or process less at a time."])
    case .process:
      self.init(
        "Program failed", "A program that was needed for this failed.",
        ["Look at the program's last output in the report."])
    case .dependency:
      self.init(
        "Service unavailable", "A service that is needed for this doesn't work at the moment.",
        ["Try again later."])
    case .overload:
      self.init(
        "Too much at once", "The system is busy and refused the request.",
        ["Wait a little and try again."])
    case .cancelled:
      self.init("Cancelled", "The work was cancelled before it was done.", [])
    default:
      self.init(
        category == .unknown ? "Unexpected error" : "Error: \(category.rawValue)",
        "Something unexpected went wrong.",
        ["Try again.", "If it happens again, report it with the reference."])
    }
  }

  private init(_ title: String, _ userMessage: String, _ suggestedActions: [String]) {
    self.title = title
    self.userMessage = userMessage
    self.suggestedActions = suggestedActions
  }
}
