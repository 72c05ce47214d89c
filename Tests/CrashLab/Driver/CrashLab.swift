/// The program behind `Tests/CrashLab/run`.
@main struct CrashLab {
  static func main() async {}
}
