"""What streams tell by their headers, arrival times and reports, whatever is in them."""
