"""What every room uses: errors, progress, files written whole, threads, devices, colors."""
