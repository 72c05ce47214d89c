/// The program behind `Tests/CrashLab/run`: each command is one part of the lab, or one process that a part starts.
@main struct CrashLab {
  static func main() async {
    let arguments = Arguments(CommandLine.arguments.dropFirst(2))
    System.followParent()
    let status: Int32
    switch CommandLine.arguments.dropFirst().first {
    case "work": status = await Worker.work(arguments)
    case "check": status = await Worker.check(arguments)
    case "kill-lock": status = LockLab.run(arguments)
    case "contend": status = await LockContender.run(arguments)
    case "kill-save": status = await SaveLab.run(arguments)
    case "save": status = await Saver.save(arguments)
    case "sweep": status = await Saver.sweep(arguments)
    case "read-saves": status = Saver.read(arguments)
    case "kill-store": status = await StoreLab.run(arguments)
    case "change": status = await StoreWorker.run(arguments)
    case "kill-jobs": status = await JobLab.run(arguments)
    case "run-jobs": status = await JobWorker.run(arguments)
    case "full-disk": status = SpaceLab.fullDisk(arguments)
    case "file-limit": status = SpaceLab.fileLimit(arguments)
    case "inject": status = InjectionLab.run(arguments)
    #if os(Linux)
      case "failed-sync": status = FailedSyncLab.run(arguments)
      case "power":
        var lab = PowerLab(arguments)
        status = lab.run()
    #endif
    default: System.fail("Tests/CrashLab/run starts this program")
    }
    System.finish(status)
  }
}
