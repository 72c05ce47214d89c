print("downloader")
